"""Confirmation: the last part of a budget trains the best candidates again, with other seeds.

The mean decides, not one lucky run. Everything here is a function of the study's trials, so
that every worker, and a resumed search, comes to the same choice.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, TrialState

from nars.sampling.pareto import dominated
from nars.searching.budget import Budget
from nars.trials import counts

__all__ = ["Measured", "confirmations", "front", "is_confirmation", "measured", "next_to_confirm", "winner"]

CONTENDERS = 3
SHARE = 0.15


@dataclass(frozen=True)
class Measured:
    """A candidate with all its complete runs."""

    numbers: tuple[int, ...]
    """Of its trials, in order."""
    params: dict[str, Any]
    runs: tuple[tuple[float, ...], ...]
    """Values of every run [runs, objectives]."""

    @property
    def mean(self) -> tuple[float, ...]:
        return tuple(float(mean) for mean in np.mean(self.runs, axis=0))

    @property
    def spread(self) -> tuple[float, ...] | None:
        """Standard deviation over runs, None of a single one."""
        if len(self.runs) < 2:
            return None
        return tuple(float(sd) for sd in np.std(self.runs, axis=0, ddof=1))


def confirmations(budget: Budget) -> int:
    """How many trials a budget keeps back; none where there would be no search left."""
    return int(min(2 * CONTENDERS, budget.amount * SHARE)) if budget.unit == "trials" else 0


def is_confirmation(budget: Budget, earlier: Sequence[FrozenTrial]) -> bool:
    """Whether the trial after these falls into the part kept for confirmation."""
    if budget.unit == "trials":
        return budget.spent(earlier) >= budget.amount - confirmations(budget)
    return len(measured(earlier)) >= 2 * CONTENDERS and budget.progress(earlier) >= 1 - SHARE


def measured(trials: Sequence[FrozenTrial]) -> list[Measured]:
    """Every candidate with complete runs, in the order of their first trials."""
    groups: dict[str, list[FrozenTrial]] = {}
    for trial in trials:
        if trial.state == TrialState.COMPLETE:
            groups.setdefault(json.dumps(trial.params, sort_keys=True), []).append(trial)
    return [
        Measured(tuple(run.number for run in runs), runs[0].params, tuple(tuple(run.values) for run in runs))
        for runs in groups.values()
    ]


def next_to_confirm(trials: Sequence[FrozenTrial], directions: Sequence[StudyDirection]) -> Measured | None:
    """The candidate most worth another run: of the best, the one with the fewest."""
    best = front(trials, directions) if len(directions) > 1 else _ranked(trials, directions)[:CONTENDERS]
    running = [trial.params for trial in trials if trial.state == TrialState.RUNNING and counts(trial)]

    def runs(candidate: Measured) -> int:
        return len(candidate.runs) + running.count(candidate.params)

    return min(best, key=runs, default=None)


def winner(trials: Sequence[FrozenTrial], directions: Sequence[StudyDirection]) -> Measured | None:
    """The best mean of the first objective among the candidates that were run more than once.

    A candidate with a single run wins only where nothing was confirmed.
    """
    ranked = _ranked(trials, directions)
    confirmed = [candidate for candidate in ranked if len(candidate.runs) > 1]
    return next(iter(confirmed or ranked), None)


def front(trials: Sequence[FrozenTrial], directions: Sequence[StudyDirection]) -> list[Measured]:
    """The candidates whose mean values no other dominates, best of the first objective first."""
    ranked = _ranked(trials, directions)
    if not ranked:
        return []
    values = np.array([candidate.mean for candidate in ranked]) * _signs(directions)
    return [candidate for candidate, worse in zip(ranked, dominated(values), strict=True) if not worse]


def _ranked(trials: Sequence[FrozenTrial], directions: Sequence[StudyDirection]) -> list[Measured]:
    sign = _signs(directions)[0]
    return sorted(measured(trials), key=lambda candidate: -sign * candidate.mean[0])


def _signs(directions: Sequence[StudyDirection]) -> NDArray[np.float64]:
    return np.array([1.0 if direction == StudyDirection.MAXIMIZE else -1.0 for direction in directions])
