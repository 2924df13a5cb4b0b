"""Workers queue for what one of them makes, and lend their threads to it."""

from __future__ import annotations

import optuna
import pytest
import torch
from optuna.study import Study
from optuna.trial import TrialState
from owned_trials import DEAD

from nars.runs import outage
from nars.runs.patient import PatientStorage
from nars.trials import Record, write
from nars.workers import turns
from nars.workers.liveness import worker_name
from nars.workers.turns import LentThreads, turn

CPU = torch.device("cpu")


@pytest.fixture
def study() -> Study:
    return optuna.create_study()


@pytest.fixture
def free(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The free cores of a machine, for a worker that computes with one thread."""
    cores = [2.9]
    monkeypatch.setattr(turns._FreeCores, "count", lambda self: cores[0])
    return cores


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
    arrive(turns.study_beside(study, "queue"), DEAD)
    with turn(study, "queue") as mine:
        assert mine.comes(lambda: False)
        assert mine.beside.trials[0].state == TrialState.FAIL


def test_an_interruption_does_not_wait_for_a_storage_that_is_away(monkeypatch: pytest.MonkeyPatch) -> None:
    inner = optuna.storages.InMemoryStorage()
    study = optuna.create_study(storage=PatientStorage(inner, "storage x"))
    monkeypatch.setattr(outage.time, "sleep", lambda seconds: pytest.fail("waited"))

    def away(*words: object) -> None:
        raise OSError(28, "No space left on device")

    def wait_and_be_interrupted() -> None:
        with turn(study, "queue"):
            for name in ("get_all_trials", "get_trial", "set_trial_state_values"):
                monkeypatch.setattr(inner, name, away)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        wait_and_be_interrupted()


def test_threads_of_the_waiting_on_this_machine_are_used_and_given_back(
    study: Study, free: list[float]
) -> None:
    with turn(study, "queue") as mine:
        with LentThreads(mine, CPU) as threads:
            arrive(mine.beside, f"elsewhere{worker_name()}")
            arrive(mine.beside, DEAD)
            threads.update()
            assert torch.get_num_threads() == 1
            arrive(mine.beside, worker_name())
            threads.update()
            assert torch.get_num_threads() == 2
            for _ in range(5):
                arrive(mine.beside, worker_name())
            threads.update()
            assert torch.get_num_threads() == 3  # the free cores
            free[0] = 0.6
            threads.update()
            assert torch.get_num_threads() == 1
            free[0] = 2.0
            threads.update()
        assert torch.get_num_threads() == 1


@pytest.mark.usefixtures("free")
def test_none_are_used_on_a_gpu(study: Study) -> None:
    with turn(study, "queue") as mine:
        arrive(mine.beside, worker_name())
        with LentThreads(mine, torch.device("cuda")) as threads:
            threads.update()
            assert torch.get_num_threads() == 1


def test_cores_are_counted_as_this_process_sees_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(turns.psutil, "cpu_percent", lambda percpu: [100.0, 40.0, 100.0])
    monkeypatch.setattr(turns.psutil.Process, "cpu_affinity", lambda self: [0, 1], raising=False)
    monkeypatch.setattr(turns.psutil.Process, "cpu_percent", lambda self: 90.0)
    assert turns._FreeCores().count() == pytest.approx(0.6 + 0.9)
