"""Tasks that a search can train for. A task's module is imported when the task is loaded."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nars.errors import UsageError, closest
from nars.space import Space
from nars.space.base import SearchSpace
from nars.tasks.reference import FineTuning, Reference
from nars.training.metrics import named

if TYPE_CHECKING:
    import torch

    from nars.tasks.base import Task

__all__ = ["SPACES", "TASKS", "load", "reference_of", "space_of", "spaces_of", "with_parent"]

TASKS = {
    "classification": "nars.tasks.classification:Classification",
    "detection": "detector.task:Detection",
}
"""Module and class of each task, by name. `load` calls the class's ``open(source, device, drop_bad=)``."""

SPACES = {"detection": "detector.space.spaces"}
"""Module of the spaces of each task whose candidates are not classifiers: their class
`KIND`, a function ``space(name_or_file)``, ``names()`` of those built in, the name `DEFAULT` of the one that
is searched by default, and the class `REFERENCE` of the fine-tuning of a parent."""


def spaces_of(task: str) -> Any:
    """The module of a task's own spaces; None if it searches among classifiers."""
    return import_module(SPACES[task]) if task in SPACES else None


def space_of(task: str, fields: Mapping[str, Any]) -> SearchSpace:
    """The space that a search of `task` wrote down. Raises `SpecError`.

    Version 0.1 searched for detectors among classifiers, which have ``stages``.
    """
    own = None if "stages" in fields else spaces_of(task)
    kind: type[SearchSpace] = Space if own is None else own.KIND
    return kind.of(dict(fields))


def reference_of(task: str, fields: Mapping[str, Any]) -> FineTuning:
    """The fine-tuning of a parent that a search of `task` wrote down. Raises `SpecError`."""
    own = spaces_of(task)
    kind: type[FineTuning] = Reference if own is None else own.REFERENCE
    return kind.of(dict(fields))


def load(
    name: str,
    source: str | Path,
    device: str | torch.device,
    *,
    drop_bad: bool = False,
    init: str = "none",
    metric: str | None = None,
) -> Task:
    """Open the task called `name` on the data at `source`; candidates inherit from the parent `init`.

    They are scored by `metric`, None for the task's own; the code of a metric ``module:function`` is run, so
    it must come from the user. Raises `UsageError`, `DataError`, and `WeightsError` for a parent whose
    weights cannot be read.
    """
    from nars.device import resolve  # which imports torch

    if name not in TASKS:
        raise UsageError(f"unknown task {name!r}: {closest(name, TASKS)}")
    module, _, cls = TASKS[name].partition(":")
    kind: Any = getattr(import_module(module), cls)
    score = None if metric is None or metric == kind.metric else named(metric)
    task: Task = kind.open(source, resolve(device), drop_bad=drop_bad)
    if score is not None:
        task = task.scored_by(score)
    return with_parent(task, init)


def with_parent(task: Task, init: str) -> Task:
    """The task whose candidates inherit from the parent called `init`, ``none`` for none.

    Raises `UsageError`, and `WeightsError` for a parent whose weights cannot be read.
    """
    origin = None if init == "none" else task.parent_called(init)
    return task if origin is None else task.inheriting(origin)
