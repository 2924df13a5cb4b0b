"""Facts that follow from a finished trial alone, computed once: reading a study costs what is new in it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Generic, TypeVar

from optuna.trial import FrozenTrial

__all__ = ["Memo"]

_T = TypeVar("_T")

_SPARE = 1000
"""Trials kept besides twice those asked for, in case that a storage makes its trials anew each time."""


class Memo(Generic[_T]):
    """Remembers a function's values for finished trials, which no storage changes any more.

    Trials are told apart by their identity, because comparing two takes longer than what is computed here.
    """

    def __init__(self, function: Callable[[Sequence[FrozenTrial]], Sequence[_T]]) -> None:
        self._function = function
        self._known: dict[int, tuple[FrozenTrial, _T]] = {}
        """Values by the `id` of a trial, which is kept with them, so that no other gets that `id`."""
        self._most = 0
        """The most trials that were asked for at once; some ask for the few that run."""

    def __call__(self, trials: Sequence[FrozenTrial]) -> list[_T]:
        """The values of these trials, in order; the function is called once, with those that are new."""
        known, keys = self._known, list(map(id, trials))
        new = [trial for key, trial in zip(keys, trials, strict=True) if key not in known]
        self._most = max(self._most, len(trials))
        if not new:
            return [known[key][1] for key in keys]
        values = dict(zip(map(id, new), self._function(new), strict=True))
        if len(known) > 2 * self._most + _SPARE:
            self._known = {}
        for trial in new:
            if trial.state.is_finished():
                self._known[id(trial)] = trial, values[id(trial)]
        return [values[key] if key in values else known[key][1] for key in keys]
