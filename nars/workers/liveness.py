"""Liveness of workers: who trains a trial, and how a trial is repeated if its worker is gone."""

from __future__ import annotations

import contextlib
import os
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager

import psutil
from optuna.exceptions import UpdateFinishedTrialError
from optuna.study import Study
from optuna.trial import FrozenTrial, Trial, TrialState

from nars.space.base import SearchSpace
from nars.trials import INTERRUPTED, Record, write

__all__ = ["Heartbeat", "interrupt", "is_alive", "reap", "returned_if_interrupted", "worker_name"]

BEAT_SECONDS = 30.0
"""Seconds between two heartbeats of a worker."""

SILENCE_SECONDS = 4 * BEAT_SECONDS
"""Seconds without a heartbeat after which a worker on another machine counts as dead."""

NAMELESS_SECONDS = 10.0
"""Grace period for a worker to sign a new trial."""

_CLOCK_SECONDS = 5.0
"""Tolerance for a process's start time, which the system derives from a clock that may be adjusted."""


def worker_name() -> str:
    """Return host, process number and start time of this process, which no other process shares."""
    return f"{socket.gethostname()}:{os.getpid()}:{psutil.Process().create_time():.2f}"


def is_alive(trial: FrozenTrial) -> bool:
    """Whether the worker of a running trial still works on it.

    The process table answers for this machine; other machines are only known by their heartbeats.
    """
    record = Record.of(trial)
    started = trial.datetime_start.timestamp() if trial.datetime_start else 0.0
    if record.worker is None:
        return time.time() - started < NAMELESS_SECONDS
    host, _, process = record.worker.partition(":")
    if host != socket.gethostname():
        return time.time() - max(started, record.heartbeat or 0.0) < SILENCE_SECONDS
    number, _, created = process.partition(":")
    try:
        running = psutil.Process(int(number))
        is_same = abs(running.create_time() - float(created)) < _CLOCK_SECONDS
        return is_same and running.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def reap(study: Study, space: SearchSpace) -> list[int]:
    """End the trials whose worker has died and queue each to be trained again.

    Returns their numbers. A trial without its complete genotype is ended but not queued, because the
    sampler will propose the same genotype again.
    """
    trials = study.get_trials(deepcopy=False)
    dead = [trial for trial in trials if trial.state == TrialState.RUNNING and not is_alive(trial)]
    repeated = {Record.of(trial).repeats for trial in trials}
    for trial in dead:
        interrupt(study, trial, space, repeat=trial.number not in repeated)
    return [trial.number for trial in dead]


def interrupt(study: Study, trial: FrozenTrial, space: SearchSpace, *, repeat: bool = True) -> None:
    """End an interrupted trial, which costs no budget, and queue it again with its seed and checkpoint.

    The repetition is queued first, so a kill in between leaves a running trial that `reap` will find.
    A trial without its complete genotype is not queued, because the sampler will propose the same
    genotype again.
    """
    if repeat and space.distributions.keys() <= trial.params.keys():
        record = Record.of(trial)
        repetition = Record(
            repeats=trial.number,
            seed=record.seed,
            predicted=record.predicted,
            predicted_sd=record.predicted_sd,
            artifact_checkpoint=record.artifact_checkpoint,
        )
        study.enqueue_trial(trial.params, user_attrs=repetition.attributes)
    write(study, trial, Record(void=INTERRUPTED, reason="interrupted"))
    study.tell(trial.number, state=TrialState.FAIL)


@contextlib.contextmanager
def returned_if_interrupted(study: Study, space: SearchSpace) -> Iterator[None]:
    """Interrupt this worker's trials if the block raises; finished trials keep their result."""
    try:
        yield
    except BaseException:
        for trial in study.get_trials(deepcopy=False, states=(TrialState.RUNNING,)):
            if Record.of(trial).worker == worker_name():
                interrupt(study, trial, space)
        raise


class Heartbeat(AbstractContextManager["Heartbeat"]):
    """Reports every half minute, from a thread of its own, that a trial is being trained."""

    def __init__(self, study: Study, trial: Trial) -> None:
        self._study = study
        self._trial = trial
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
            with contextlib.suppress(UpdateFinishedTrialError):  # the trial finished in the meantime
                write(self._study, self._trial, Record(heartbeat=time.time()))
