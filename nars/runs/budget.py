"""A search's budget: one amount, shared by all workers and restarts."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Literal, Self

from optuna.trial import FrozenTrial

from nars.errors import UsageError
from nars.trials import Record, counts

__all__ = ["MOST_BETWEEN_BEATS", "Budget", "busy_seconds"]

_SECONDS = {"s": 1, "m": 60, "min": 60, "h": 3600, "d": 86400}
"""Seconds in each unit of time that a budget can be given in."""

MOST_BETWEEN_BEATS = 60.0
"""Most seconds that a worker counts as working since its last report, which it makes every half minute."""

_MOST = 1e9
"""The largest amount of any unit."""


@dataclass(frozen=True)
class Budget:
    """A number of trained candidates, of seconds of training, or of epochs."""

    amount: float
    unit: Literal["trials", "seconds", "epochs"] = "trials"
    before: float = 0.0
    """Seconds spent before the first trial, on the reference and on what is foretold; they count only in a
    budget of time."""

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read ``64`` (trials), ``500ep`` (epochs), ``90s``, ``30m``, ``30min``, ``2h`` or ``1d``.

        Raises `UsageError`.
        """
        match = re.fullmatch(r"(\d+(?:\.\d+)?)\s*(ep|s|min|m|h|d)?", text.strip(), re.ASCII)
        if not match or not 0 < float(match[1]) <= _MOST:
            raise UsageError(
                f"budget {text[:40]!r}: give trials (64), a time (90s, 30m, 2h) or epochs (500ep)"
            )
        amount, suffix = float(match[1]), match[2]
        if suffix in _SECONDS:
            return cls(amount * _SECONDS[suffix], "seconds")
        if amount != int(amount):
            raise UsageError(f"budget {text!r}: trials and epochs are whole numbers")
        return cls(amount, "epochs" if suffix else "trials")

    def __str__(self) -> str:
        return f"{self.amount:g} {self.unit.removesuffix('s') if self.amount == 1 else self.unit}"

    def charged(self, seconds: float) -> Self:
        """Return the same budget with `seconds` spent before the first trial."""
        return replace(self, before=seconds)

    def spent(self, trials: Sequence[FrozenTrial], now: datetime | None = None) -> float:
        """Return how much the trials have used, including those still running."""
        used = [trial for trial in trials if counts(trial)]
        if self.unit == "trials":
            return len(used)
        if self.unit == "epochs":
            return float(sum(Record.of(trial).epochs or 0 for trial in used))
        return self.before + busy_seconds(used, now or datetime.now())

    def is_spent(self, trials: Sequence[FrozenTrial]) -> bool:
        """Whether no further trial may start."""
        return self.spent(trials) >= self.amount

    def progress(self, trials: Sequence[FrozenTrial], now: datetime | None = None) -> float:
        """Return the share of the budget that is spent, 0..1."""
        return min(1.0, self.spent(trials, now) / self.amount)

    def grants(self, trials: Sequence[FrozenTrial], number: int) -> bool:
        """Whether the trial with this number may train; every worker gets the same answer.

        Only trials with a smaller number count against it, so if two workers ask at the same moment
        and the budget has room for one trial, exactly one of them is granted it.
        """
        return self.spent([trial for trial in trials if trial.number < number]) < self.amount


def busy_seconds(trials: Sequence[FrozenTrial], now: datetime) -> float:
    """Return the time during which at least one trial ran, so pauses between runs are free.

    A trial counts from its start for as long as its worker has worked on it. Only whether two trials overlap
    depends on the clocks of their workers; a worker's own trials never do, even if its clock was set back.
    """
    ends: dict[str | None, datetime] = {}
    spans = []
    for trial in trials:
        if trial.datetime_start is None:
            continue
        worker = Record.of(trial).worker
        start = trial.datetime_start
        if worker is not None:
            start = max(start, ends.get(worker, start))
        stop = start + timedelta(seconds=_worked_seconds(trial, now))
        ends[worker] = stop
        spans.append((start, stop))
    total, end = 0.0, datetime.min
    for start, stop in sorted(spans):
        total += max(0.0, (stop - max(start, end)).total_seconds())
        end = max(end, stop)
    return total


def _worked_seconds(trial: FrozenTrial, now: datetime) -> float:
    """Return how long a worker has worked on a trial.

    Trials of earlier versions have no such record: their start and end tell.
    """
    assert trial.datetime_start is not None
    record = Record.of(trial)
    if trial.datetime_complete is not None:
        elapsed = (trial.datetime_complete - trial.datetime_start).total_seconds()
        return record.worked if record.worked is not None else max(0.0, elapsed)
    reported = record.heartbeat or trial.datetime_start.timestamp()
    since = min(max(0.0, now.timestamp() - reported), MOST_BETWEEN_BEATS)
    worked = record.worked
    if worked is None:
        worked = max(0.0, reported - trial.datetime_start.timestamp())
    return worked + since
