"""One trial of a search: its record before the training, when it stops early, how it ends."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace

from optuna.study import Study
from optuna.trial import FrozenTrial, Trial, TrialState

from nars.errors import StorageAwayError, TrialError
from nars.networks.latency import WithLatency
from nars.runs.outage import impatient
from nars.searching.confirm import is_confirmation
from nars.searching.early_stopping import EarlyStopping
from nars.spec import Trainable
from nars.tasks.base import Outcome
from nars.training.loop import Progress
from nars.trials import REFUSED, Curve, Measurement, Record, counts
from nars.workers.search import Search

__all__ = ["Ending", "Watch", "describe", "failed", "refused"]

_SEARCH_DISTANCE = 1_000_003
"""Distance between the seeds of the first trials of two searches, a prime number."""

_RUN_DISTANCE = 500_009
"""Distance to the next seed if a candidate was already trained with one, a prime number."""


@dataclass(frozen=True)
class Ending:
    """The end of a trial: what Optuna is told, and what is written to its record."""

    record: Record
    state: TrialState | None
    """State of the trial; None for a trial with values, whose state Optuna sets."""
    values: Sequence[float] | None = None


def refused(reason: str) -> Ending:
    """Return the end of a trial that is not trained and costs no budget."""
    return Ending(Record(void=REFUSED, reason=reason), TrialState.FAIL)


def failed(error: TrialError, epochs: int) -> Ending:
    """Return the end of a trial whose candidate cannot be trained; it costs the epochs begun."""
    return Ending(Record(reason=str(error), epochs=epochs), TrialState.FAIL)


def describe(search: Search, trial: Trial, candidate: Trainable, before: Sequence[FrozenTrial]) -> Record:
    """Return the record of a trial before its training: seed, epochs, costs, what it confirms.

    `before` are the trials before this one. The latency of a candidate is measured once: a repetition, and a
    confirmation, would be refused at a limit by the noise of another measurement. Raises `TrialMemoryError`
    if the candidate does not fit in memory when its latency is measured.
    """
    config = search.config
    earlier = [other for other in before if counts(other)]
    measured = config.space.statistics_of(trial.params)
    if isinstance(search.domain, WithLatency):
        known = _known_latency(trial, before)
        measured["latency"] = search.task.latency(candidate).median if known is None else known
    same = [other for other in earlier if other.params == trial.params]
    seed = Record.of(trial).seed
    return Record(
        epochs=candidate.epochs,
        seed=_fresh_seed(config.seed, len(earlier), same) if seed is None else seed,
        confirms=same[0].number if _confirms(search, trial, earlier) else None,
        measured=measured,
    )


def _known_latency(trial: Trial, before: Sequence[FrozenTrial]) -> float | None:
    """The latency that the candidate of a trial had when it was first trained; None if it never was."""
    same = (Record.of(other) for other in before if other.params == trial.params)
    latencies = (record.measured.get("latency") for record in same if record.void != REFUSED)
    return next((latency for latency in latencies if latency is not None), None)


def _confirms(search: Search, trial: Trial, earlier: Sequence[FrozenTrial]) -> bool:
    """Whether a trial trains a candidate again in the part of the budget that is kept for confirmation."""
    return is_confirmation(search.budget, earlier) and any(
        other.params == trial.params and other.state == TrialState.COMPLETE for other in earlier
    )


def _fresh_seed(seed: int, place: int, same: Sequence[FrozenTrial]) -> int:
    """Return the seed of a trial that comes after `place` others, in the search with this seed.

    It differs from the seeds of the candidate's earlier trials, `same`, even if workers were lost.
    """
    taken = {Record.of(other).seed for other in same}
    fresh = seed * _SEARCH_DISTANCE + place
    while fresh in taken:
        fresh += _RUN_DISTANCE
    return fresh


class Watch:
    """Follows one training: reports its scores, and ends it early if it will not win.

    The task calls it after every measurement; it returns whether the training shall continue. Raises
    `TrialError` for a score that is not finite, with which a study cannot be read again.
    """

    def __init__(self, search: Search, study: Study, trial: Trial, earlier: Sequence[FrozenTrial]) -> None:
        self.epochs = 0
        self._search = search
        self._study = study
        self._trial = trial
        self._earlier = earlier
        self._confirms = _confirms(search, trial, earlier)
        self._curve: list[tuple[float, float]] = []
        self._reported = -1
        self._unreported: list[tuple[float, int]] = []
        """Scores and steps that Optuna has not got yet, because the storage is away."""
        self._stopped: str | None = None
        self._stopping = EarlyStopping.of(earlier) if search.config.early_stopping else None

    def __call__(self, progress: Progress) -> bool:
        if not math.isfinite(progress.score):
            raise TrialError(f"its score is {progress.score} after epoch {progress.epoch}")
        self._curve.append((progress.fraction, progress.score))
        self.epochs = progress.epoch
        with suppress(StorageAwayError), impatient():  # the training goes on meanwhile
            self._report(progress)
            if progress.fraction < 1 and not self._confirms:
                self._stopped = self._reason_to_stop(progress.fraction)
        return self._stopped is None

    def resume(self, measurements: Sequence[Measurement]) -> None:
        """Take over the scores of the interrupted training that this one continues; none of them ended it."""
        for epoch, epochs, score in measurements:
            progress = Progress(epoch, epochs, score, loss=math.nan, seconds=0.0)
            self._report(progress)
            self._curve.append((progress.fraction, score))
            self.epochs = epoch

    def start_anew(self) -> None:
        """Forget what `resume` took over, because the training cannot be continued."""
        self._curve.clear()
        self.epochs = 0

    def ending(self, outcome: Outcome, measured: Mapping[str, float]) -> Ending:
        """Return the end of the trial after its training; `measured` has its costs by name."""
        self._catch_up()
        scores = {**outcome.metrics, self._search.config.metric: outcome.score}
        record = Record(
            epochs=outcome.epochs,
            seconds=round(outcome.seconds, 3),
            curve=[(round(fraction, 4), round(value, 6)) for fraction, value in outcome.curve],
            interval=outcome.interval,
            confusion=outcome.confusion,
            measured=scores,
        )
        if self._stopped is None:
            return Ending(record, None, self._search.values(outcome.score, measured))
        final = self._stopping.final(self._curve) if self._stopping is not None else None
        estimate = None if final is None else tuple(self._search.values(final, measured))
        return Ending(replace(record, reason=self._stopped, estimate=estimate), TrialState.PRUNED)

    @property
    def _single(self) -> bool:
        """Whether there is one objective; Optuna takes intermediate values only then."""
        return len(self._search.config.objectives) == 1

    def _report(self, progress: Progress) -> None:
        """Report a score to Optuna, with the percent of the training as its step, once per percent."""
        percent = round(100 * progress.fraction)
        if self._single and percent > self._reported:
            self._unreported.append((progress.score, percent))
            self._reported = percent
        self._catch_up()

    def _catch_up(self) -> None:
        """Report what could not be reported before."""
        while self._unreported:
            score, step = self._unreported[0]
            self._trial.report(score, step=step)
            del self._unreported[0]

    def _reason_to_stop(self, fraction: float) -> str | None:
        """Return why the training should end at this fraction; None if it should continue."""
        if self._stopping is not None and self._stopping.should_stop(self._curve, self._peers()):
            return f"stopped at {fraction:.0%}: not among the better half there"
        if self._single and self._trial.should_prune():
            return f"pruned at {fraction:.0%} ({self._search.config.pruner})"
        budget = self._search.budget
        if budget.unit == "seconds" and budget.is_spent(self._study.get_trials(deepcopy=False)):
            return f"stopped at {fraction:.0%}: out of time"
        return None

    def _peers(self) -> list[Curve]:
        """Return the curves to compare with; for a front, only those of candidates that cost no more."""
        others = self._search.config.objectives[1:]
        mine = Record.of(self._trial).measured
        return [
            record.curve
            for record in map(Record.of, self._earlier)
            if record.curve is not None and all(record.measured[name] <= mine[name] for name in others)
        ]
