"""The queue of workers before the first candidate: one makes what all need, the others wait and lend cores.

A study beside that of the search coordinates them, so each worker that arrives is a trial there, whatever
machine it is on.
"""

from __future__ import annotations

import contextlib
import socket
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import optuna
import psutil
import torch
from optuna.study import Study
from optuna.trial import FrozenTrial, Trial, TrialState

from nars.internals import storage_of
from nars.trials import Record, write
from nars.workers.liveness import is_alive, worker_name

__all__ = ["POLL_SECONDS", "LentThreads", "Turn", "signed", "study_beside", "turn"]

POLL_SECONDS = 1.0
"""Seconds between two checks of a worker that waits for others."""


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
    """A trial of this worker; it fails at the end of the block unless it was told a value."""
    trial = beside.ask()
    write(beside, trial, Record(worker=worker_name()))
    try:
        yield trial
    finally:
        if beside.get_trials(deepcopy=False)[trial.number].state == TrialState.RUNNING:
            beside.tell(trial, state=TrialState.FAIL)


@dataclass(frozen=True)
class Turn:
    """The place of this worker among those that need the same thing: each is a running trial."""

    beside: Study
    trial: Trial

    def comes(self, is_made: Callable[[], bool]) -> bool:
        """Wait until the thing is made; True if this worker has to make it, as no earlier one is alive."""
        while not is_made():
            earlier = [other for other in self._running() if other.number < self.trial.number]
            for other in earlier:
                if not is_alive(other):
                    self.beside.tell(other.number, state=TrialState.FAIL)
            if not any(map(is_alive, earlier)):
                return True
            time.sleep(POLL_SECONDS)
        return False

    def waiting_here(self) -> int:
        """How many other workers on this machine wait."""
        host = f"{socket.gethostname()}:"
        others = [other for other in self._running() if other.number != self.trial.number]
        return sum((Record.of(other).worker or "").startswith(host) and is_alive(other) for other in others)

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

    So the last digits of a result depend on how many workers wait; alone, it is what it always was.
    """

    def __init__(self, turn: Turn, device: torch.device) -> None:
        self._turn = turn
        self._own = torch.get_num_threads()
        self._most = max(self._own, _cores()) if device.type == "cpu" else self._own

    def __enter__(self) -> LentThreads:
        self.update()
        return self

    def update(self) -> None:
        """Count again who waits."""
        threads = min(self._most, self._own * (1 + self._turn.waiting_here()))
        if threads != torch.get_num_threads():
            torch.set_num_threads(threads)

    def __exit__(self, *failure: object) -> None:
        torch.set_num_threads(self._own)


def _cores() -> int:
    """The cores that this process may use."""
    process = psutil.Process()
    return len(process.cpu_affinity()) if hasattr(process, "cpu_affinity") else psutil.cpu_count() or 1
