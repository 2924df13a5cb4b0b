"""Workers queue for what one of them makes, and lend their threads to it."""

from __future__ import annotations

import socket
from collections.abc import Iterator

import optuna
import pytest
import torch
from optuna.study import Study
from optuna.trial import TrialState

from nars.trials import Record, write
from nars.workers import turns
from nars.workers.liveness import worker_name
from nars.workers.turns import LentThreads, turn

CPU = torch.device("cpu")


@pytest.fixture
def study() -> Study:
    return optuna.create_study()


@pytest.fixture
def one_thread(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A machine of three cores, and a worker that computes with one thread."""
    monkeypatch.setattr(turns, "_cores", lambda: 3)
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def arrive(beside: Study, worker: str) -> None:
    write(beside, beside.ask(), Record(worker=worker))


def test_the_first_worker_makes_it_and_leaves_no_running_trial(study: Study) -> None:
    with turn(study, "queue") as mine:
        assert mine.comes(lambda: False)
    assert [trial.state for trial in mine.beside.trials] == [TrialState.FAIL]


def test_a_later_worker_waits_until_it_is_made(study: Study, monkeypatch: pytest.MonkeyPatch) -> None:
    naps: list[float] = []
    monkeypatch.setattr(turns.time, "sleep", naps.append)
    with turn(study, "queue"), turn(study, "queue") as second:
        assert not second.comes(lambda: len(naps) == 2)
    assert naps == [turns.POLL_SECONDS] * 2


def test_the_dead_do_not_hold_up_the_queue(study: Study) -> None:
    arrive(turns.study_beside(study, "queue"), f"{socket.gethostname()}:999999999:1.00")
    with turn(study, "queue") as mine:
        assert mine.comes(lambda: False)
        assert mine.beside.trials[0].state == TrialState.FAIL


@pytest.mark.usefixtures("one_thread")
def test_threads_of_the_waiting_on_this_machine_are_used_and_given_back(study: Study) -> None:
    with turn(study, "queue") as mine:
        with LentThreads(mine, CPU) as threads:
            assert torch.get_num_threads() == 1
            arrive(mine.beside, f"elsewhere{worker_name()}")
            arrive(mine.beside, f"{socket.gethostname()}:999999999:1.00")
            threads.update()
            assert torch.get_num_threads() == 1
            arrive(mine.beside, worker_name())
            threads.update()
            assert torch.get_num_threads() == 2
            for _ in range(5):
                arrive(mine.beside, worker_name())
            threads.update()
            assert torch.get_num_threads() == 3  # the cores
        assert torch.get_num_threads() == 1


@pytest.mark.usefixtures("one_thread")
def test_they_are_given_back_after_a_failure_and_not_taken_on_a_gpu(study: Study) -> None:
    with turn(study, "queue") as mine:
        arrive(mine.beside, worker_name())
        with LentThreads(mine, torch.device("cuda")):
            assert torch.get_num_threads() == 1
        with pytest.raises(ValueError, match="threads: 2"), LentThreads(mine, CPU):
            raise ValueError(f"threads: {torch.get_num_threads()}")
    assert torch.get_num_threads() == 1
