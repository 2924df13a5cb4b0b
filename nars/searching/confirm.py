"""Confirmation: the last part of a budget trains the best candidates again, with other seeds.

The mean over runs decides, not one lucky run. Everything here is a function of the study's trials,
so all workers, and a resumed search, make the same choice.
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

from nars.runs.budget import Budget
from nars.sampling.pareto import dominated
from nars.trials import counts

__all__ = ["Measured", "confirmations", "front", "is_confirmation", "measured", "next_to_confirm", "winner"]

CONTENDERS = 3
"""How many of the best candidates a search with one objective trains again; of a front, all may be."""

_SHARE = 0.15
"""Share of a budget that is kept for confirmation; in trials, at most 2 * CONTENDERS of them."""


@dataclass(frozen=True)
class Measured:
    """A candidate with all its complete trainings, called runs."""

    numbers: tuple[int, ...]
    """Numbers of its trials, in order."""
    params: dict[str, Any]
    runs: tuple[tuple[float, ...], ...]
    """Objective values of every run, [runs, objectives]."""

    @property
    def mean(self) -> tuple[float, ...]:
        """Mean of each objective over runs."""
        return tuple(float(mean) for mean in np.mean(self.runs, axis=0))

    @property
    def spread(self) -> tuple[float, ...] | None:
        """Standard deviation of each objective over runs; None for a single run."""
        if len(self.runs) < 2:
            return None
        return tuple(float(sd) for sd in np.std(self.runs, axis=0, ddof=1))

    @property
    def by_closeness_to_median(self) -> list[int]:
        """Numbers of its trials, from the one whose score is closest to their median.

        For an even number of runs, the one below the middle comes first; of equal scores, the earlier run.
        """
        scores = [run[0] for run in self.runs]
        middle = sorted(scores)[(len(scores) - 1) // 2]
        order = sorted(range(len(scores)), key=lambda run: abs(scores[run] - middle))
        return [self.numbers[run] for run in order]

    @property
    def median(self) -> int:
        """Number of the trial with the median score, whose weights and classes stand for the candidate."""
        return self.by_closeness_to_median[0]


def confirmations(budget: Budget) -> int:
    """Return how many trials of a budget in trials are kept for confirmation; a small one keeps none.

    It is 0 for other units, for which `is_confirmation` goes by the share of the budget spent.
    """
    return int(min(2 * CONTENDERS, budget.amount * _SHARE)) if budget.unit == "trials" else 0


def is_confirmation(budget: Budget, earlier: Sequence[FrozenTrial]) -> bool:
    """Whether the trial after the `earlier` ones belongs to the part kept for confirmation."""
    if budget.unit == "trials":
        return budget.spent(earlier) >= budget.amount - confirmations(budget)
    return len(measured(earlier)) >= 2 * CONTENDERS and budget.progress(earlier) >= 1 - _SHARE


def measured(trials: Sequence[FrozenTrial]) -> list[Measured]:
    """Group complete trials by candidate, in the order of their first trials."""
    groups: dict[str, list[FrozenTrial]] = {}
    for trial in trials:
        if trial.state == TrialState.COMPLETE:
            groups.setdefault(json.dumps(trial.params, sort_keys=True), []).append(trial)
    return [
        Measured(tuple(run.number for run in runs), runs[0].params, tuple(tuple(run.values) for run in runs))
        for runs in groups.values()
    ]


def next_to_confirm(trials: Sequence[FrozenTrial], directions: Sequence[StudyDirection]) -> Measured | None:
    """Return the best candidate with the fewest runs, counting those in progress; None without any."""
    best = front(trials, directions) if len(directions) > 1 else _ranked(trials, directions)[:CONTENDERS]
    running = [trial.params for trial in trials if trial.state == TrialState.RUNNING and counts(trial)]

    def runs(candidate: Measured) -> int:
        return len(candidate.runs) + running.count(candidate.params)

    return min(best, key=runs, default=None)


def winner(trials: Sequence[FrozenTrial], directions: Sequence[StudyDirection]) -> Measured | None:
    """Return the candidate with the best mean of the first objective; None if none was trained in full.

    A candidate with a single run wins only if no candidate has more than one.
    """
    ranked = _ranked(trials, directions)
    confirmed = [candidate for candidate in ranked if len(candidate.runs) > 1]
    return next(iter(confirmed or ranked), None)


def front(trials: Sequence[FrozenTrial], directions: Sequence[StudyDirection]) -> list[Measured]:
    """Return the candidates with nondominated means, sorted from the best in the first objective."""
    ranked = _ranked(trials, directions)
    if not ranked:
        return []
    values = np.array([candidate.mean for candidate in ranked]) * _signs(directions)
    beaten = dominated(values)
    return [candidate for candidate, is_beaten in zip(ranked, beaten, strict=True) if not is_beaten]


def _ranked(trials: Sequence[FrozenTrial], directions: Sequence[StudyDirection]) -> list[Measured]:
    """Sort the candidates from the best mean of the first objective."""
    sign = _signs(directions)[0]
    return sorted(measured(trials), key=lambda candidate: -sign * candidate.mean[0])


def _signs(directions: Sequence[StudyDirection]) -> NDArray[np.float64]:
    """Return 1 for each objective to maximize and -1 for each to minimize, [objectives]."""
    return np.array([1.0 if direction == StudyDirection.MAXIMIZE else -1.0 for direction in directions])
