"""The queue of workers before the first candidate: one makes what all need, the others wait and lend cores.

A study beside that of the search coordinates them, so each worker that arrives is a trial there, whatever
machine it is on.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import optuna
import psutil
import torch
from optuna.study import Study
from optuna.trial import FrozenTrial, Trial, TrialState

from nars.errors import StorageAwayError
from nars.internals import storage_of
from nars.runs.outage import impatient
from nars.trials import Record, write
from nars.workers.liveness import Witness, is_gone, is_here, worker_name

__all__ = ["POLL_SECONDS", "LentThreads", "Turn", "signed", "study_beside", "turn"]

POLL_SECONDS = 1.0
"""Seconds between two checks of a worker that waits for others."""

_TOLERANCE = 0.25
"""Share of a core that others may use while it counts as free."""


def study_beside(study: Study, name: str) -> Study:
    """The study called `name` in the storage of `study`; it is made if there is none."""
    return optuna.create_study(
        storage=storage_of(study),
        study_name=name,
        direction="maximize",
        sampler=optuna.samplers.RandomSampler(),
        load_if_exists=True,
    )


@contextlib.contextmanager
def signed(beside: Study) -> Iterator[Trial]:
    """A trial of this worker; it fails at the end of the block unless it was told a value.

    If the block raises while the storage is away, it is left to those who find that this process is gone.
    """
    trial = beside.ask()
    write(beside, trial, Record(worker=worker_name()))
    try:
        yield trial
    except BaseException:
        with contextlib.suppress(StorageAwayError), impatient():
            _end(beside, trial)
        raise
    _end(beside, trial)


def _end(beside: Study, trial: Trial) -> None:
    """Fail a trial that still runs."""
    if beside.get_trials(deepcopy=False)[trial.number].state == TrialState.RUNNING:
        beside.tell(trial, state=TrialState.FAIL, skip_if_finished=True)


@dataclass(frozen=True)
class Turn:
    """The place of this worker among those that need the same thing: each is a running trial."""

    beside: Study
    trial: Trial

    def comes(self, is_made: Callable[[], bool]) -> bool:
        """Wait until the thing is made; True if this worker has to make it, as no earlier one is alive."""
        witness = Witness()
        while not is_made():
            running = self._running()
            gone = [other.number for other in witness.look(running)]
            for number in gone:
                self.beside.tell(number, state=TrialState.FAIL, skip_if_finished=True)
            if all(other.number >= self.trial.number or other.number in gone for other in running):
                return True
            time.sleep(POLL_SECONDS)
        return False

    def waiting_here(self) -> int:
        """How many other workers on this machine wait."""
        others = [other for other in self._running() if other.number != self.trial.number]
        return sum(is_here(other) and not is_gone(other) for other in others)

    def _running(self) -> list[FrozenTrial]:
        return self.beside.get_trials(deepcopy=False, states=(TrialState.RUNNING,))


@contextlib.contextmanager
def turn(study: Study, name: str) -> Iterator[Turn]:
    """Queue this worker in the study called `name` beside that of the search while the block runs."""
    beside = study_beside(study, name)
    with signed(beside) as trial:
        yield Turn(beside, trial)


class LentThreads(contextlib.AbstractContextManager["LentThreads"]):
    """Computes on a CPU with the threads of those who wait on this machine, too, until the block ends.

    Threads are lent at each `update`, as far as cores have been free since the last one: on busy cores,
    threads that wait for each other are slower than one. The last digits of a result depend on their number;
    alone, a worker computes what it always did.
    """

    def __init__(self, turn: Turn, device: torch.device) -> None:
        self._turn = turn
        self._on_cpu = device.type == "cpu"
        self._own = torch.get_num_threads()
        self._cores = _FreeCores()

    def __enter__(self) -> LentThreads:
        return self

    def update(self) -> None:
        """Count again who waits, and the cores that are free."""
        free = int(self._cores.count() + _TOLERANCE)
        threads = max(self._own, min(free, self._own * (1 + self._turn.waiting_here())))
        if self._on_cpu and threads != torch.get_num_threads():
            torch.set_num_threads(threads)

    def __exit__(self, *failure: object) -> None:
        torch.set_num_threads(self._own)


class _FreeCores:
    """Counts the cores that other processes have left to this one."""

    def __init__(self) -> None:
        self._process = psutil.Process()
        self.count()

    def count(self) -> float:
        """The cores that were free or used by this process since the last call."""
        idle = [100 - busy for busy in psutil.cpu_percent(percpu=True)]
        if hasattr(self._process, "cpu_affinity"):
            idle = [idle[core] for core in self._process.cpu_affinity() if core < len(idle)]
        return (sum(idle) + self._process.cpu_percent()) / 100
