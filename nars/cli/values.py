"""Types of option values, and the options that several commands share."""

from __future__ import annotations

import re
from typing import Any

import click

__all__ = [
    "AMOUNT",
    "DURATION",
    "data_option",
    "device_option",
    "json_option",
    "quiet_optuna",
    "run_option",
    "to_json",
]

_PREFIXES = {"": 1.0, "k": 1e3, "m": 1e6, "g": 1e9}
_UNITS = {"us": 1e-6, "ms": 1e-3, "s": 1.0}


class _Number(click.ParamType[float]):
    """A positive number with a suffix."""

    def __init__(self, name: str, suffixes: dict[str, float], example: str) -> None:
        self.name = name
        self.suffixes = suffixes
        self.example = example

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        match = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([a-z]*)", str(value).strip().lower())
        if not match or match[2] not in self.suffixes or float(match[1]) <= 0:
            self.fail(f"{value!r} is not a positive {self.name} such as {self.example}", param, ctx)
        return float(match[1]) * self.suffixes[match[2]]


AMOUNT = _Number("amount", _PREFIXES, "60M or 400k")
DURATION = _Number("duration", _UNITS, "5ms")

json_option = click.option("--json", "as_json", is_flag=True, help="Print numbers as JSON.")
device_option = click.option(
    "--device",
    default="auto",
    show_default=True,
    help="auto, cpu, cuda or cuda:N; auto is CUDA where there is.",
)
data_option = click.option(
    "--data",
    default="digits",
    show_default=True,
    help="digits, a folder of class folders, an .npz file, or a torchvision set as cifar10:PATH.",
)
run_option = click.option(
    "--run", "folder", type=click.Path(path_type=str), help="Run folder; by default the latest in runs/."
)


def to_json(value: Any) -> str:
    """JSON with numpy numbers as numbers, and no NaN."""
    import json
    import math

    def plain(item: Any) -> Any:
        if isinstance(item, dict):
            return {str(key): plain(each) for key, each in item.items()}
        if isinstance(item, list | tuple):
            return [plain(each) for each in item]
        if hasattr(item, "item"):
            item = item.item()
        return None if isinstance(item, float) and not math.isfinite(item) else item

    return json.dumps(plain(value), indent=2)


def quiet_optuna() -> None:
    """Our display says what Optuna would log."""
    import optuna

    optuna.logging.set_verbosity(optuna.logging.WARNING)
