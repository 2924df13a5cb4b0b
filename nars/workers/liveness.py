"""Liveness of workers: who trains a trial, for how long, and who counts as gone.

No answer depends on what a clock says: clocks of machines differ, a laptop sleeps, and while a storage is
away every heartbeat in it is old. A worker of this machine is looked up in the table of processes, by its
number and its start since the boot. One elsewhere, or in another container, is gone if a `Witness`, who can
read the storage, sees no new heartbeat for two minutes.
"""

from __future__ import annotations

import contextlib
import os
import socket
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path

import psutil
from optuna.exceptions import UpdateFinishedTrialError
from optuna.study import Study
from optuna.trial import FrozenTrial, Trial, TrialState

from nars.errors import StorageAwayError
from nars.runs.budget import MOST_BETWEEN_BEATS
from nars.runs.outage import impatient
from nars.trials import Record, write

__all__ = ["Heartbeat", "Stopwatch", "Witness", "is_gone", "is_here", "name_of", "worker_name"]

BEAT_SECONDS = 30.0
"""Seconds between two heartbeats of a worker."""

SILENCE_SECONDS = 4 * BEAT_SECONDS
"""Seconds of observation without a new heartbeat after which a worker on another machine counts as gone."""

NAMELESS_SECONDS = 10.0
"""Grace period for a worker to sign a new trial."""

_UNSIGNED_SECONDS = 2 * BEAT_SECONDS
"""Seconds of observation after which a trial that nobody has signed has no worker."""

_CLOCK_SECONDS = 5.0
"""Tolerance for a process's start time, which the system rounds."""

_CALENDAR = 1e8
"""Start times above this are seconds since 1970, as earlier versions and other systems than Linux write."""

_FIRST_NAMESPACE = 0xEFFFFFFC
"""The number that Linux gives the table of processes of the machine itself (include/linux/proc_ns.h)."""


def worker_name() -> str:
    """Return host, process number and start time of this process, which no other process shares."""
    return f"{name_of(os.getpid())}{_start_of(psutil.Process()):.2f}"


def name_of(process: int) -> str:
    """Return how the name of a worker begins that is the process of this number here."""
    return f"{_host()}:{process}:"


def _host() -> str:
    """Return the name of this machine, and in a container also the number of its own table of processes.

    Containers may share the name of a machine, as those that share its network do, but see other processes.
    """
    name = socket.gethostname()
    try:
        namespace = Path("/proc/self/ns/pid").stat().st_ino
    except OSError:  # not Linux
        return name
    return name if namespace == _FIRST_NAMESPACE else f"{name}/{namespace}"


def _start_of(process: psutil.Process, *, calendar: bool = not psutil.LINUX) -> float:
    """Return when a process started, in seconds since the boot, or since 1970.

    The latter is derived from a clock that may be set anew in the meantime.
    """
    return process.create_time() if calendar else process.create_time() - psutil.boot_time()


def is_here(trial: FrozenTrial) -> bool:
    """Whether the worker of a trial is, or was, a process of this machine or container."""
    return (Record.of(trial).worker or "").partition(":")[0] == _host()


def is_gone(trial: FrozenTrial) -> bool:
    """Whether the worker of a running trial is known to be gone without any observation.

    That is so for processes of this machine, and for a trial that nobody has signed for some time.
    """
    record = Record.of(trial)
    if record.worker is None:
        started = trial.datetime_start.timestamp() if trial.datetime_start else 0.0
        return abs(time.time() - started) >= NAMELESS_SECONDS
    host, number, created = record.worker.rsplit(":", 2)
    if host != _host():
        return False
    try:
        running = psutil.Process(int(number))
        start = _start_of(running, calendar=float(created) > _CALENDAR)
        is_same = abs(start - float(created)) < _CLOCK_SECONDS
        return not is_same or running.status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


@dataclass
class _Sight:
    """A running trial as a witness has seen it."""

    beat: float | None
    silence: float = 0.0
    """Seconds of observation since the last new heartbeat."""
    heard: bool = False
    """Whether there was a new heartbeat since the first look."""


class Witness:
    """Watches the workers of running trials; `look` has to be called again and again.

    Time in which it could not look, because the storage was away or the machine slept, counts as one interval
    of heartbeats at most, so that every worker that is alive has been heard again before it counts as gone.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._looked: float | None = None
        self._sights: dict[int, _Sight] = {}

    def look(self, trials: Sequence[FrozenTrial]) -> list[FrozenTrial]:
        """Take note of the heartbeats of a study's trials, and return the trials whose workers are gone."""
        now = self._clock()
        passed = min(now - self._looked, BEAT_SECONDS) if self._looked is not None else 0.0
        self._looked = now
        running = [trial for trial in trials if trial.state == TrialState.RUNNING]
        before, self._sights = self._sights, {}
        for trial in running:
            beat = Record.of(trial).heartbeat
            sight = before.get(trial.number) or _Sight(beat)
            if sight.beat != beat:
                sight = _Sight(beat, heard=True)
            else:
                sight.silence += passed
            self._sights[trial.number] = sight
        return [trial for trial in running if self._is_gone(trial)]

    def knows_alive(self, trial: FrozenTrial) -> bool:
        """Whether the worker of a running trial was seen to work since this witness began to look."""
        if is_here(trial):
            return not is_gone(trial)
        sight = self._sights.get(trial.number)
        return sight is not None and sight.heard

    def _is_gone(self, trial: FrozenTrial) -> bool:
        if is_here(trial):
            return is_gone(trial)
        signed = Record.of(trial).worker is not None
        patience = SILENCE_SECONDS if signed else _UNSIGNED_SECONDS
        return self._sights[trial.number].silence >= patience


class Stopwatch:
    """Measures how long a worker has worked on a trial.

    Its clock does not follow the calendar. A gap between two readings that is longer than any between
    heartbeats, because the machine or the process was suspended, counts as such a gap.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._read = clock()
        self._total = 0.0
        self._lock = threading.Lock()

    @property
    def seconds(self) -> float:
        """Seconds of work until now."""
        with self._lock:
            now = self._clock()
            self._total += min(now - self._read, MOST_BETWEEN_BEATS)
            self._read = now
            return self._total


class Heartbeat(AbstractContextManager["Heartbeat"]):
    """Reports every half minute, from a thread of its own, that a trial is being trained, and for how long.

    `on_beat` is called after each report. While the storage is away, neither is done.
    """

    def __init__(
        self,
        study: Study,
        trial: Trial,
        stopwatch: Stopwatch | None = None,
        on_beat: Callable[[], object] | None = None,
    ) -> None:
        self._study = study
        self._trial = trial
        self._stopwatch = stopwatch or Stopwatch()
        self._on_beat = on_beat
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._beat, daemon=True)

    def __enter__(self) -> Heartbeat:
        self._thread.start()
        return self

    def __exit__(self, *failure: object) -> None:
        self._done.set()
        self._thread.join()

    def _beat(self) -> None:
        while not self._done.wait(BEAT_SECONDS):
            record = Record(heartbeat=time.time(), worked=round(self._stopwatch.seconds, 2))
            # The trial may have finished in the meantime.
            with contextlib.suppress(UpdateFinishedTrialError, StorageAwayError), impatient():
                write(self._study, self._trial, record)
                if self._on_beat is not None:
                    self._on_beat()
