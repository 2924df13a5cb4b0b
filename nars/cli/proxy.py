"""``nars proxy-check``."""

from __future__ import annotations

import math
from typing import Any

import click

from nars.cli.options.requests import request_options, requested, say, say_default_data
from nars.cli.options.values import also_from_option, json_option, to_json
from nars.foreign.parts import Part

_FIELDS = (
    "data",
    "drop_bad",
    "task",
    "metric",
    "init",
    "reference_epochs",
    "space",
    "fix",
    "mask",
    "max_macs",
    "max_params",
    "seed",
    "device",
)
"""Fields of a search's request that a comparison needs."""


def _finite(context: click.Context, parameter: click.Parameter, value: float) -> float:
    """The value of an option, which infinity and NaN are none of."""
    if not math.isfinite(value):
        raise click.BadParameter(f"{value} is not a finite number")
    return value


@click.command("proxy-check")
@request_options(_FIELDS)
@click.option(
    "--candidates",
    type=click.IntRange(min=4),
    default=12,
    show_default=True,
    help="Candidates to train both ways.",
)
@click.option(
    "--factor",
    type=click.FloatRange(min=1, min_open=True),
    callback=_finite,
    default=4.0,
    show_default=True,
    help="How many times as long the long training is.",
)
@click.option("--workers", type=click.IntRange(min=1), help="Processes; by default one per core.")
@also_from_option
@json_option
def proxy_check_command(
    candidates: int, factor: float, workers: int | None, as_json: bool, **fields: Any
) -> None:
    """Train a few candidates for the search's epochs and FACTOR times as long, and compare ranks.

    Prints Kendall's tau with its interval: whether a search of this budget ranks like a long one.

    Example: nars proxy-check --data photos/ --candidates 12
    """
    request = requested(fields)  # a mistake is answered before the imports

    from nars.engines.local import Local
    from nars.searching import proxy
    from nars.searching.configure import configure

    about_space: list[str] = []
    parts: list[Part] = []
    config = configure(request, None, about_space.append, parts.extend)
    say_default_data(fields, request)
    say(*about_space)
    count = workers or Local().default_workers(config)
    check = proxy.proxy_check(config, candidates=candidates, factor=factor, workers=count)
    numbers = check.to_dict() | {"parts": [part.row() for part in parts]}
    click.echo(to_json(numbers) if as_json else str(check))
