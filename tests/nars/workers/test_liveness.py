"""Liveness of workers: a trial whose worker died is repeated once, completely, with its seed."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import optuna
import psutil
import pytest
from optuna.study import Study
from optuna.trial import FrozenTrial, TrialState
from owned_trials import DEAD, HERE, ask, empty

from nars.trials import Record
from nars.workers import liveness
from nars.workers.liveness import BEAT_SECONDS, Heartbeat, Stopwatch, Witness, is_gone, name_of, worker_name


@pytest.fixture
def study() -> Study:
    return empty()


def trial_of(worker: str | None, age: float = 0.0, **known: Any) -> FrozenTrial:
    signed = {} if worker is None else {"worker": worker}
    made = optuna.create_trial(state=TrialState.RUNNING, user_attrs={**signed, **known})
    made.datetime_start = made.datetime_start and made.datetime_start.fromtimestamp(time.time() - age)
    return made


def test_this_process_is_alive_and_one_that_never_was_is_not() -> None:
    assert not is_gone(trial_of(HERE))
    assert is_gone(trial_of(DEAD))
    assert not is_gone(trial_of("elsewhere:1:1.0", age=1e6))  # only a witness can tell


@pytest.mark.skipif(not psutil.LINUX, reason="other systems have one table of processes")
def test_a_container_that_shares_the_name_of_its_machine_has_other_processes(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def dead_in(namespace: int) -> str:
        monkeypatch.setattr(liveness, "_FIRST_NAMESPACE", namespace)
        return f"{name_of(999999999)}1.00"

    on_the_machine = dead_in(Path("/proc/self/ns/pid").stat().st_ino)
    in_a_container = dead_in(0)
    assert is_gone(trial_of(in_a_container))
    assert not is_gone(trial_of(on_the_machine))  # which is elsewhere: only a witness can tell
    assert not is_gone(trial_of(worker_name()))


def test_a_later_process_of_the_same_number_is_another() -> None:
    created = psutil.Process().create_time()
    earlier = f"{name_of(os.getpid())}{created - 60:.2f}"
    assert is_gone(trial_of(earlier))


@pytest.fixture
def child() -> Iterator[subprocess.Popen[bytes]]:
    process = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    yield process
    process.kill()
    process.wait()


def test_a_killed_process_is_dead_even_before_its_parent_looks(child: subprocess.Popen[bytes]) -> None:
    created = psutil.Process(child.pid).create_time()
    trial = trial_of(f"{name_of(child.pid)}{created:.2f}")
    assert not is_gone(trial)
    child.send_signal(signal.SIGKILL)
    deadline = time.monotonic() + 10
    while psutil.Process(child.pid).status() != psutil.STATUS_ZOMBIE and time.monotonic() < deadline:
        time.sleep(0.01)
    assert is_gone(trial)


@pytest.mark.skipif(not psutil.LINUX, reason="other systems know only the calendar")
def test_a_clock_that_is_set_forward_kills_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    """Linux counts the start of a process from the boot; only the time of the boot follows the calendar."""
    trial = trial_of(HERE)
    boot, create = psutil.boot_time(), psutil.Process.create_time
    monkeypatch.setattr(psutil, "boot_time", lambda: boot + 600)
    monkeypatch.setattr(psutil.Process, "create_time", lambda process: create(process) + 600)
    assert not is_gone(trial)


class Observed:
    """A worker on another machine, and a witness with a clock of its own."""

    def __init__(self) -> None:
        self.now = 0.0
        self.beat = 1.0
        self.witness = Witness(lambda: self.now)

    def look(self, seconds: float, *, beats: bool = False, worker: str | None = "elsewhere:1:1.0") -> bool:
        """Whether the worker counts as gone after some more seconds."""
        self.now += seconds
        self.beat += beats
        known = {} if worker is None else {"worker": worker}
        trial = optuna.create_trial(state=TrialState.RUNNING, user_attrs={**known, "heartbeat": self.beat})
        trial.number = 3
        gone = self.witness.look([trial])
        self.alive = self.witness.knows_alive(trial)
        return gone == [trial]


def test_a_worker_elsewhere_is_gone_after_two_minutes_of_silence() -> None:
    observed = Observed()
    assert not observed.look(0)
    assert not observed.alive  # nobody knows yet
    looks = [observed.look(BEAT_SECONDS) for _ in range(4)]
    assert looks == [False, False, False, True]
    assert not observed.look(1, beats=True)
    assert observed.alive


@pytest.mark.parametrize("away", [300.0, 86_400.0])
def test_no_worker_is_gone_because_the_storage_was_away_or_the_machine_slept(away: float) -> None:
    observed = Observed()
    observed.look(0)
    observed.look(BEAT_SECONDS, beats=True)
    assert not observed.look(away)
    assert not observed.look(BEAT_SECONDS)  # in which every worker has reported again
    assert not observed.look(1, beats=True)


def test_a_trial_that_nobody_signs_has_no_worker() -> None:
    observed = Observed()
    looks = [observed.look(BEAT_SECONDS, worker=None) for _ in range(3)]
    assert looks == [False, False, True]


def test_a_stopwatch_counts_work_and_not_sleep() -> None:
    now = [100.0]
    stopwatch = Stopwatch(lambda: now[0])
    now[0] += 30
    assert stopwatch.seconds == 30
    now[0] += 8 * 3600
    assert stopwatch.seconds == 90  # the longest gap between two heartbeats
    now[0] += 5
    assert stopwatch.seconds == 95


def test_a_trial_without_a_name_is_left_alone_only_while_it_is_new() -> None:
    assert not is_gone(trial_of(None))
    assert is_gone(trial_of(None, age=liveness.NAMELESS_SECONDS + 1))


def test_heartbeats_are_heard_and_stop_without_noise(study: Study, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(liveness, "BEAT_SECONDS", 0.01)
    trial = ask(study, HERE)
    with Heartbeat(study, trial):
        deadline = time.monotonic() + 10
        while Record.of(study.trials[0]).heartbeat is None and time.monotonic() < deadline:
            time.sleep(0.01)
        study.tell(trial, 1.0)
        time.sleep(0.05)  # heartbeats of a finished trial: refused by the storage, and silent
    record = Record.of(study.trials[0])
    assert time.time() - record.heartbeat < 10
    assert 0 < record.worked < 10
