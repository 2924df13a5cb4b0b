"""Tasks by name. `load` opens one; `available` tells which can be opened here, and why others cannot."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from pathlib import Path

from experiments.search_benchmark.problem import Task
from experiments.search_benchmark.tasks import joint, lcbench, macro, ofa, toy
from nars.errors import DataError, UsageError, closest

__all__ = ["DEFAULT_DATA", "HELD_OUT", "TASKS", "available", "load"]

DEFAULT_DATA = Path(__file__).parents[3].parent / "shared" / "data"
"""Data sets, a sibling of the repository by default."""

_FAMILIES = {
    **dict.fromkeys(toy.NAMES, toy.load),
    **dict.fromkeys(macro.NAMES, macro.load),
    **dict.fromkeys(ofa.NAMES, ofa.load),
    **dict.fromkeys(lcbench.NAMES, lcbench.load),
    **dict.fromkeys(joint.NAMES, joint.load),
}
"""Name -> the function that loads the task."""

TASKS = tuple(_FAMILIES)
"""Names of all tasks."""

HELD_OUT = frozenset(
    [
        *("macro-40M", "macro-pareto"),
        *("ofa-imagenet-230M-n0.1", "ofa-imagenet-280M-n0.3"),
        *lcbench.NAMES[1::2],
        *(name for name in joint.NAMES if name.startswith("micro-fashion")),
    ]
)
"""Half of the tasks. Their results are not looked at while a sampler is being improved."""


@cache
def load(name: str, data_root: Path = DEFAULT_DATA) -> Task:
    """The task called `name`. Raises `UsageError` for an unknown name, `DataError` if its data is absent."""
    if name not in _FAMILIES:
        raise UsageError(f"unknown task {name!r}: {closest(name, TASKS)}")
    task = _FAMILIES[name](name, data_root)
    return replace(task, half="held-out" if name in HELD_OUT else "open")


def available(names: list[str], data_root: Path = DEFAULT_DATA) -> tuple[list[str], dict[str, str]]:
    """The names whose data is present, and for the others the reason."""
    reasons: dict[str, str] = {}
    for name in names:
        try:
            load(name, data_root)
        except DataError as error:
            reasons[name] = str(error)
    return [name for name in names if name not in reasons], reasons
