"""Liveness of workers: a trial whose worker died is repeated once, completely, with its seed."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from typing import Any

import optuna
import psutil
import pytest
from optuna.study import Study
from optuna.trial import FrozenTrial, Trial, TrialState
from stub_task import SPACE, config

from nars.runs.budget import Budget
from nars.trials import INTERRUPTED, Record
from nars.workers import liveness
from nars.workers.liveness import SILENCE_SECONDS, Heartbeat, interrupt, is_alive, reap
from nars.workers.liveness import worker_name as name_of_this_process

DEAD = f"{socket.gethostname()}:999999999:1.00"
HERE = name_of_this_process()


@pytest.fixture
def study() -> Study:
    made = optuna.create_study(direction="maximize", sampler=optuna.samplers.RandomSampler(seed=0))
    made.set_user_attr("config", config().to_yaml())
    return made


def ask(study: Study, worker: str, *, whole: bool = True, **known: Any) -> Trial:
    trial = study.ask(dict(SPACE.distributions) if whole else None)
    for key, value in {"worker": worker, **known}.items():
        trial.set_user_attr(key, value)
    return trial


def trial_of(worker: str, age: float = 0.0, **known: Any) -> FrozenTrial:
    made = optuna.create_trial(state=TrialState.RUNNING, user_attrs={"worker": worker, **known})
    made.datetime_start = made.datetime_start and made.datetime_start.fromtimestamp(time.time() - age)
    return made


def test_this_process_is_alive_and_one_that_never_was_is_not() -> None:
    assert is_alive(trial_of(HERE))
    assert not is_alive(trial_of(DEAD))


def test_a_later_process_of_the_same_number_is_another() -> None:
    created = psutil.Process().create_time()
    earlier = f"{socket.gethostname()}:{os.getpid()}:{created - 60:.2f}"
    assert not is_alive(trial_of(earlier))


@pytest.fixture
def child() -> Iterator[subprocess.Popen[bytes]]:
    process = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    yield process
    process.kill()
    process.wait()


def test_a_killed_process_is_dead_even_before_its_parent_looks(child: subprocess.Popen[bytes]) -> None:
    created = psutil.Process(child.pid).create_time()
    trial = trial_of(f"{socket.gethostname()}:{child.pid}:{created:.2f}")
    assert is_alive(trial)
    child.send_signal(signal.SIGKILL)
    deadline = time.monotonic() + 10
    while psutil.Process(child.pid).status() != psutil.STATUS_ZOMBIE and time.monotonic() < deadline:
        time.sleep(0.01)
    assert not is_alive(trial)


def test_of_other_machines_we_hear_heartbeats() -> None:
    elsewhere, long_ago = "elsewhere:1:1.0", 2 * SILENCE_SECONDS
    assert is_alive(trial_of(elsewhere))
    assert not is_alive(trial_of(elsewhere, age=long_ago))
    assert is_alive(trial_of(elsewhere, age=long_ago, **{"heartbeat": time.time()}))
    assert not is_alive(trial_of(elsewhere, age=2 * long_ago, **{"heartbeat": time.time() - long_ago}))


def test_a_trial_without_a_name_is_left_alone_only_while_it_is_new(
    study: Study, monkeypatch: pytest.MonkeyPatch
) -> None:
    study.ask()
    assert reap(study, SPACE) == []
    monkeypatch.setattr(liveness, "NAMELESS_SECONDS", 0)
    assert reap(study, SPACE) == [0]
    assert [trial.state for trial in study.trials] == [TrialState.FAIL]


def test_the_dead_are_repeated_once_with_genotype_and_seed(study: Study) -> None:
    mine, dead = ask(study, HERE), ask(study, DEAD, seed=77)
    assert reap(study, SPACE) == [dead.number]
    assert reap(study, SPACE) == []
    states = [trial.state for trial in study.trials]
    assert states == [TrialState.RUNNING, TrialState.FAIL, TrialState.WAITING]
    voided, repetition = study.trials[1:]
    assert (Record.of(voided).void, Record.of(voided).reason) == (INTERRUPTED, "interrupted")
    assert repetition.user_attrs == {"repeats": dead.number, "seed": 77}
    assert Budget(9).spent(study.trials) == 1
    again = study.ask(dict(SPACE.distributions))
    assert (again.number, again.params) == (2, dead.params)
    assert mine.params != dead.params


def test_a_repetition_that_dies_too_is_repeated_too(study: Study) -> None:
    params = ask(study, DEAD, seed=5).params
    for _ in range(3):
        assert len(reap(study, SPACE)) == 1
        again = ask(study, DEAD)
        assert again.params == params
        assert Record.of(again).seed == 5
    assert Budget(9).spent(study.trials) == 1


def test_a_kill_while_giving_back_doubles_nothing(study: Study, monkeypatch: pytest.MonkeyPatch) -> None:
    """The kill comes after the repetition is queued and before the trial is ended."""
    ask(study, DEAD)
    with monkeypatch.context() as during:
        during.setattr(liveness, "write", _interrupt)
        with pytest.raises(KeyboardInterrupt):
            reap(study, SPACE)
    assert [trial.state for trial in study.trials] == [TrialState.RUNNING, TrialState.WAITING]
    reap(study, SPACE)
    assert [trial.state for trial in study.trials] == [TrialState.FAIL, TrialState.WAITING]


def _interrupt(*_: object) -> None:
    raise KeyboardInterrupt


def test_half_a_genotype_is_not_repeated(study: Study) -> None:
    """The rest would come from another proposal, and the two together may exceed a limit."""
    half = ask(study, DEAD, whole=False)
    half.suggest_int("resolution", 8, 16, step=4)
    assert reap(study, SPACE) == [half.number]
    assert [trial.state for trial in study.trials] == [TrialState.FAIL]
    assert Record.of(study.trials[0]).void == INTERRUPTED


def test_a_trial_given_back_by_hand(study: Study) -> None:
    trial = ask(study, HERE)
    interrupt(study, study.trials[trial.number], SPACE)
    assert [each.state for each in study.trials] == [TrialState.FAIL, TrialState.WAITING]


def test_heartbeats_are_heard_and_stop_without_noise(study: Study, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(liveness, "BEAT_SECONDS", 0.01)
    trial = ask(study, HERE)
    with Heartbeat(study, trial):
        deadline = time.monotonic() + 10
        while Record.of(study.trials[0]).heartbeat is None and time.monotonic() < deadline:
            time.sleep(0.01)
        study.tell(trial, 1.0)
        time.sleep(0.05)  # heartbeats of a finished trial: refused by the storage, and silent
    assert time.time() - Record.of(study.trials[0]).heartbeat < 10
