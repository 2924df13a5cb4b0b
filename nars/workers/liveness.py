"""Who trains a trial, and what happens to the trial when they are gone."""

from __future__ import annotations

import contextlib
import os
import socket
import threading
import time
from contextlib import AbstractContextManager

import psutil
from optuna.exceptions import UpdateFinishedTrialError
from optuna.study import Study
from optuna.trial import FrozenTrial, Trial, TrialState

from nars.searching.run import config_of
from nars.trials import INTERRUPTED, Record, write

__all__ = ["Heartbeat", "give_back", "is_alive", "reap", "worker_name"]

BEAT_SECONDS = 30.0
SILENCE_SECONDS = 4 * BEAT_SECONDS
NAMELESS_SECONDS = 10.0
"""Within which a worker has put its name on a trial that it asked for."""
CLOCK_SECONDS = 5.0
"""By which the system's account of when a process started may shift with its clock."""


def worker_name() -> str:
    """Host, process and its start, which no later process shares."""
    return f"{socket.gethostname()}:{os.getpid()}:{psutil.Process().create_time():.2f}"


def is_alive(trial: FrozenTrial) -> bool:
    """Whether the worker of a running trial still works on it.

    On this machine the process table tells; of other machines we hear heartbeats.
    """
    record = Record.of(trial)
    worker = record.worker or ""
    started = trial.datetime_start.timestamp() if trial.datetime_start else 0.0
    if not worker:
        return time.time() - started < NAMELESS_SECONDS
    host, _, process = worker.partition(":")
    if host == socket.gethostname():
        pid, _, created = process.partition(":")
        try:
            found = psutil.Process(int(pid))
            same = abs(found.create_time() - float(created)) < CLOCK_SECONDS
            return same and found.status() != psutil.STATUS_ZOMBIE
        except psutil.NoSuchProcess:
            return False
    return time.time() - max(started, record.heartbeat or 0.0) < SILENCE_SECONDS


def reap(study: Study) -> list[int]:
    """End the trials whose worker has died and line each up to be trained again.

    Returns their numbers. A trial that died before it had its genotype is only ended: the sampler
    proposes the same again.
    """
    trials = study.get_trials(deepcopy=False)
    dead = [trial for trial in trials if trial.state == TrialState.RUNNING and not is_alive(trial)]
    repeated = {Record.of(trial).repeats for trial in trials}
    for trial in dead:
        give_back(study, trial, repeat=trial.number not in repeated)
    return [trial.number for trial in dead]


def give_back(study: Study, trial: FrozenTrial, *, repeat: bool = True) -> None:
    """End an interrupted trial; it costs no budget and is repeated with the same seed.

    The repetition is lined up first: a kill in between leaves a trial that `reap` finds again. A
    trial without its whole genotype is not repeated: the sampler proposes the same again.
    """
    if repeat and config_of(study).space.distributions.keys() <= trial.params.keys():
        repetition = Record(repeats=trial.number, seed=Record.of(trial).seed)
        study.enqueue_trial(trial.params, user_attrs=repetition.attributes)
    write(study, trial, Record(void=INTERRUPTED, reason="interrupted"))
    study.tell(trial.number, state=TrialState.FAIL)


class Heartbeat(AbstractContextManager["Heartbeat"]):
    """Says every half minute that a trial is being trained, from a thread of its own."""

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
            with contextlib.suppress(UpdateFinishedTrialError):  # told while we were about to
                write(self._study, self._trial, Record(heartbeat=time.time()))
