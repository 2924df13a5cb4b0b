"""The arguments of `NarsSampler`, checked when it is made: a mistake is one line, no traceback later."""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Iterable, Mapping, Sequence
from numbers import Real

from optuna.trial import FrozenTrial

from nars.errors import UsageError
from nars.space.feasible import Limits

__all__ = ["checked_constraints", "checked_limits", "checked_names", "checked_seed", "in_a_line"]

Constraints = Callable[[FrozenTrial], Sequence[float]]
"""Constraints of a finished trial, of which 0 or less is feasible."""


def checked_seed(seed: object) -> int | None:
    """A seed as Python's integer. Raises `UsageError` for anything else than one of 0 or more, or None."""
    if seed is None:
        return None
    try:
        number = operator.index(seed)  # type: ignore[arg-type]  # what it is for is to find that out
    except TypeError:
        raise UsageError(f"the seed of NarsSampler is an integer or None, got {seed!r:.80}") from None
    if number < 0:
        raise UsageError(f"the seed of NarsSampler must not be negative, got {number}")
    return number


def checked_limits(limits: object) -> dict[str, float]:
    """Limits by name. Raises `UsageError` unless every one is a number; infinity is no limit."""
    if limits is None:
        return {}
    if not isinstance(limits, Mapping):
        raise UsageError(f"limits= of NarsSampler are numbers by name, got {limits!r:.80}")
    for name, limit in limits.items():
        if not isinstance(limit, Real) or math.isnan(limit):
            raise UsageError(f"limits= of NarsSampler: {name!r} must be a number, got {limit!r:.80}")
    known: Limits = limits
    return dict(known)


def checked_names(objectives: Iterable[str] | None) -> tuple[str, ...] | None:
    """Names of objectives. Raises `UsageError` for a lone text, a name that is none, and one given twice."""
    if objectives is None:
        return None
    names = (objectives,) if isinstance(objectives, str) else tuple(objectives)
    if isinstance(objectives, str) or not all(isinstance(name, str) for name in names):
        raise UsageError(f"objectives= of NarsSampler is a list of names, ['loss'], got {objectives!r:.80}")
    if len(set(names)) < len(names):
        raise UsageError(f"objectives= of NarsSampler has a name twice: {', '.join(names)}")
    return names


def checked_constraints(function: Constraints | None) -> Constraints | None:
    """The same constraints as plain numbers, which every storage takes.

    Raises `UsageError` if it is no function. The function itself raises it, naming the trial, if the user's
    fails or returns anything else than numbers.
    """
    if function is None:
        return None
    if not callable(function):
        raise UsageError(f"constraints_func= of NarsSampler is a function of a trial, got {function!r:.80}")
    return _Numbers(function)


class _Numbers:
    """A class, because a study whose sampler holds a local function cannot be sent to another process."""

    def __init__(self, function: Constraints) -> None:
        self._function = function

    def __call__(self, trial: FrozenTrial) -> tuple[float, ...]:
        where = f"constraints_func of NarsSampler, trial {trial.number}"
        try:
            returned = self._function(trial)
        except Exception as error:  # whatever a user's function may raise
            raise UsageError(f"{where}: {in_a_line(error)}") from error
        try:
            values = tuple(float(value) for value in _listed(returned))
        except (TypeError, ValueError):
            raise UsageError(f"{where}: must return a list of numbers, got {returned!r:.80}") from None
        if any(map(math.isnan, values)):
            raise UsageError(f"{where}: Constraint values cannot be NaN; one above 0 is not met")
        return values


def _listed(returned: object) -> Iterable[float]:
    if isinstance(returned, str) or not isinstance(returned, Iterable):
        raise TypeError
    return returned


def in_a_line(error: Exception) -> str:
    """An exception of a user's function, in one line."""
    return " ".join(f"{type(error).__name__}: {error}".split())
