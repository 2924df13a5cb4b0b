"""Options that say where the workers of a search run."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

import click

from nars.cli.options.values import Choice
from nars.errors import UsageError

if TYPE_CHECKING:
    from nars.engines.base import Engine  # which imports optuna

__all__ = ["engine_named", "engine_options"]

F = TypeVar("F", bound=Callable[..., Any])

ENGINES = ("local", "ray", "slurm")
"""Names of the engines."""


def engine_options(command: F) -> F:
    """A decorator that adds ``--engine`` and the options that belong to it."""
    for option in (
        click.option(
            "--worker-option",
            "worker_options",
            multiple=True,
            metavar="KEY=VALUE",
            help="A share of the engine for each worker, such as gpus=0.25 (ray), or partition=gpu (slurm).",
        ),
        click.option("--address", help="The cluster of Ray: auto, HOST:PORT or ray://HOST:PORT."),
        click.option(
            "--engine",
            "engine_name",
            type=Choice("engine", ENGINES),
            default=ENGINES[0],
            show_default=True,
            help="Where workers run: on this machine, in a cluster of Ray, or as jobs of Slurm.",
        ),
    ):
        command = option(command)
    return command


def engine_named(name: str, address: str | None, options: Sequence[str]) -> Engine:
    """Return the engine that the options of a command describe. Raises `UsageError`."""
    if address is not None and name != "ray":
        raise UsageError("--address is that of a cluster of Ray: give --engine ray")
    pairs = dict(map(_pair, options))
    if name == "local":
        from nars.engines.local import Local

        if pairs:
            raise UsageError(f"--worker-option {options[0]}: processes of this machine have no options")
        return Local()
    if name == "slurm":
        from nars.engines.slurm import Slurm

        return Slurm(pairs)
    from nars.engines.ray import Ray

    numbers = {key: _number(key, value) for key, value in pairs.items()}
    cpus, gpus = numbers.pop("cpus", 1.0), numbers.pop("gpus", None)
    return Ray(address, cpus, gpus, numbers)


def _pair(option: str) -> tuple[str, str]:
    key, equals, value = option.partition("=")
    if not key or not equals or not value:
        raise UsageError(f"--worker-option {option}: give KEY=VALUE, such as gpus=0.25")
    return key, value


def _number(key: str, value: str) -> float:
    try:
        number = float(value)
    except ValueError:
        number = -1.0
    if not 0 <= number < float("inf"):
        raise UsageError(f"--worker-option {key}={value}: Ray takes a number from 0")
    return number
