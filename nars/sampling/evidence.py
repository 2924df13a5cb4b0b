"""The trials that a proposal learns from, and those that it must only keep apart from.

A single worker has results of everything before a proposal. Many workers do not: a proposal then learns from
the results that came first, in rounds of the same sizes, and takes all other trials for running.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from optuna.trial import FrozenTrial, TrialState

from nars.sampling.rounds import Rounds

__all__ = ["Evidence", "evidence"]


@dataclass(frozen=True)
class Evidence:
    """The trials before a proposal that count, divided by what is known about them."""

    known: Sequence[FrozenTrial]
    """Trials before the round of the proposal, all of them finished."""
    others: Sequence[FrozenTrial]
    """Trials that run or, if any does, have a result that came after those of the known ones."""
    place: int
    """How many trials come before the proposal."""
    turn: int
    """How many candidates of the round's batch go to other trials of the round."""
    alone: bool
    """Whether no other trial runs."""


def evidence(before: Sequence[FrozenTrial], rounds: Rounds, required: frozenset[str]) -> Evidence:
    """Divide the trials `before` a proposal; a running one has a candidate once it has all `required`."""
    place = len(before)
    running = [trial for trial in before if trial.state == TrialState.RUNNING]
    if not running:
        start = rounds.start(place)
        return Evidence(before[:start], (), place, place - start, alone=True)
    finished = sorted((trial for trial in before if trial.state.is_finished()), key=_completion)
    start = rounds.start(len(finished))
    asking = sum(not required <= trial.params.keys() for trial in running)
    since = [trial for trial in finished[start:] if trial.state != TrialState.FAIL]
    return Evidence(finished[:start], [*running, *since], place, asking, alone=False)


def _completion(trial: FrozenTrial) -> tuple[datetime, int]:
    """The order in which trials finished."""
    return trial.datetime_complete or datetime.min, trial.number
