"""Worker processes share one budget, and a search survives whatever happens to them."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
from launching import launch
from optuna.study import Study
from optuna.trial import FrozenTrial, TrialState
from stub_task import TINY, search, trials

from nars.engines import supervise as supervising
from nars.errors import InfeasibleError, RunError
from nars.networks.latency import COUNT, Latency
from nars.runs.config import SearchConfig
from nars.runs.request import SearchRequest
from nars.runs.run import Run, open_run, start_run
from nars.searching.configure import configure
from nars.studies import latency_samples
from nars.tasks.classification import Classification
from nars.trials import INTERRUPTED, Record, counts

QUICK = TINY.replace("epochs: {low: 2, high: 5}", "epochs: 1").replace("low: 8, high: 16", "low: 8, high: 12")
LONG = TINY.replace("epochs: {low: 2, high: 5}", "epochs: 60")
"""A space whose trainings take some ten seconds, to be interrupted."""


@pytest.fixture
def made(tmp_path: Path) -> Callable[..., SearchConfig]:
    def make(text: str, budget: str, **options: Any) -> SearchConfig:
        (tmp_path / "tiny.yaml").write_text(text)
        chosen = {"budget": budget, "sampler": "random", "device": "cpu"} | options
        return configure(SearchRequest(space=tmp_path / "tiny.yaml", data="digits", **chosen))

    return make


def pids(study: Study) -> set[int]:
    return {
        int(Record.of(trial).worker.split(":")[1])
        for trial in study.trials
        if Record.of(trial).worker is not None
    }


def alive(numbers: set[int]) -> set[int]:
    return {each for each in numbers if psutil.pid_exists(each)}


def wait_for(condition: Callable[[], Any], seconds: float = 60.0) -> Any:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if found := condition():
            return found
        time.sleep(0.1)
    raise AssertionError(f"waited {seconds} s in vain")


def running(study: Study) -> list[FrozenTrial]:
    """Return the trials in training: those with a complete genotype and the score of some epoch."""
    return [each for each in study.get_trials(states=(TrialState.RUNNING,)) if each.intermediate_values]


def begun(folder: Path) -> list[FrozenTrial]:
    """Return the trials in training in a run folder, which another process may not have made yet."""
    try:
        return running(open_run(folder).study())
    except RunError:
        return []


def check_nothing_lost_or_doubled(study: Study, budget: int) -> None:
    paid = trials(study)
    assert len(paid) == budget
    assert {trial.state for trial in paid} <= {TrialState.COMPLETE, TrialState.FAIL}
    interrupted = [trial for trial in study.trials if Record.of(trial).void == INTERRUPTED]
    repeats = [Record.of(trial).repeats for trial in study.trials if Record.of(trial).repeats is not None]
    assert sorted(repeats) == [trial.number for trial in interrupted if trial.params]
    for trial in study.trials:
        if Record.of(trial).repeats is not None:
            original = study.trials[Record.of(trial).repeats]
            assert (trial.params, Record.of(trial).seed) == (original.params, Record.of(original).seed)


def test_two_workers_share_a_search(tmp_path: Path, made: Callable[..., SearchConfig]) -> None:
    run = start_run(tmp_path / "run", made(QUICK, "6"), None)
    before, workers = psutil.Process().children(), set[int]()

    def watch(study: Study) -> None:
        workers.update(child.pid for child in psutil.Process().children() if child not in before)

    study = launch(run, 2, watch, log=tmp_path / "run" / "log.txt")
    check_nothing_lost_or_doubled(study, 6)
    assert [trial.state for trial in trials(study)] == [TrialState.COMPLETE] * 6
    assert len(workers) == 2
    assert pids(study) <= workers  # one may be done before the other has begun
    assert alive(workers) == set()
    assert {"best.yaml", "pareto.csv", "trials.csv", "log.txt"} <= {
        file.name for file in run.folder.iterdir()
    }
    workers.clear()
    launch(run, 2, watch)
    assert not workers  # nothing is left to do
    assert len({str(trial.params) for trial in trials(study)}) == 6


def test_the_best_weights_so_far_are_there_while_a_search_runs(
    tmp_path: Path, made: Callable[..., SearchConfig], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(supervising, "POLL_SECONDS", 0.05)
    run, found = start_run(tmp_path / "run", made(LONG.replace("60", "2"), "2"), None), set[int]()

    def look(study: Study) -> None:
        done = [each for each in study.trials if each.state == TrialState.COMPLETE]
        if (run.folder / "weights" / "best.pt").exists():
            found.add(len(done))

    launch(run, 1, look)
    assert min(found) == 1


def test_a_latency_that_nothing_meets_is_said_before_any_worker_starts(
    tmp_path: Path, made: Callable[..., SearchConfig], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Classification, "latency", lambda task, candidate: Latency(0.001, 0.001, 0.001, 10))
    run, seen = start_run(tmp_path / "run", made(QUICK, "3", max_latency=1e-6), None), list[int]()
    with pytest.raises(InfeasibleError, match=r"latency <= 1e-06 s: the smallest possible is latency 0\.001"):
        launch(run, 1, lambda study: seen.append(len(latency_samples(study))))
    assert set(seen) == set(range(0, COUNT, 8))
    assert not run.study().trials


@pytest.mark.slow
def test_the_trial_of_a_killed_worker_is_trained_again(
    tmp_path: Path, made: Callable[..., SearchConfig], caplog: pytest.LogCaptureFixture
) -> None:
    run = start_run(tmp_path / "run", made(LONG.replace("60", "8"), "6"), None)
    killed: list[FrozenTrial] = []

    def kill_one(study: Study) -> None:
        found = running(study)
        if found and not killed:
            killed.append(found[0])
            os.kill(int(Record.of(found[0]).worker.split(":")[1]), signal.SIGKILL)

    study = launch(run, 2, kill_one, log=tmp_path / "log.txt")
    check_nothing_lost_or_doubled(study, 6)
    assert {trial.state for trial in trials(study)} == {TrialState.COMPLETE}
    interrupted = [trial for trial in study.trials if Record.of(trial).void == INTERRUPTED]
    assert [trial.number for trial in interrupted] == [killed[0].number]
    died = "is trained again: its worker died with SIGKILL (most likely out of memory)"
    assert f"trial {killed[0].number} {died}" in caplog.messages
    assert len(pids(study)) == 3


@pytest.fixture
def command(tmp_path: Path, made: Callable[..., SearchConfig]) -> Iterator[subprocess.Popen[bytes]]:
    made(LONG, "4")  # for the space file that it writes
    arguments = ["search", "--space", str(tmp_path / "tiny.yaml"), "--budget", "4", "--sampler", "random"]
    arguments += ["--run", str(tmp_path / "run"), "--workers", "2", "--device", "cpu"]
    process = subprocess.Popen(
        [sys.executable, "-m", "nars", *arguments], stderr=subprocess.PIPE, stdout=subprocess.PIPE
    )
    yield process
    process.kill()
    process.communicate()


def finish_quickly(run: Run, monkeypatch: pytest.MonkeyPatch) -> Study:
    """Continue in this process, with one epoch per training."""
    from nars.tasks.base import Outcome
    from nars.tasks.classification import Classification

    outcome = Outcome(0.5, 1, ((1.0, 0.5),), 0.1)
    monkeypatch.setattr(Classification, "run", lambda *given, **named: outcome)
    return search(run.config, run.folder)


@pytest.mark.slow
@pytest.mark.parametrize(("signalled", "code"), [(signal.SIGINT, 130), (signal.SIGKILL, -signal.SIGKILL)])
def test_whoever_ends_the_search_it_goes_on_where_it_was(
    tmp_path: Path,
    command: subprocess.Popen[bytes],
    monkeypatch: pytest.MonkeyPatch,
    signalled: int,
    code: int,
) -> None:
    interrupted = wait_for(lambda: len(found := begun(tmp_path / "run")) == 2 and found)
    command.send_signal(signalled)
    assert command.wait(timeout=30) == code
    run = open_run(tmp_path / "run")
    wait_for(lambda: not alive(pids(run.study())))
    study = run.study()
    assert not study.get_trials(states=(TrialState.RUNNING,))
    assert sum(map(counts, study.trials)) == 0
    if signalled == signal.SIGINT:
        assert command.stderr is not None
        last = command.stderr.read().decode().strip().splitlines()[-1]
        assert last == "nars: interrupted; the same command goes on from here"
    study = finish_quickly(run, monkeypatch)
    check_nothing_lost_or_doubled(study, 4)
    # Repetitions are in the order in which the workers returned the trials.
    assert {str(each.params) for each in interrupted} == {str(each.params) for each in trials(study)[:2]}


@pytest.mark.slow
def test_all_killed_at_once_is_repeated_at_the_next_start(
    tmp_path: Path, command: subprocess.Popen[bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    wait_for(lambda: len(begun(tmp_path / "run")) == 2)
    run = open_run(tmp_path / "run")
    study = run.study()
    for number in (command.pid, *pids(study)):
        os.kill(number, signal.SIGKILL)
    command.wait(timeout=30)
    wait_for(lambda: all(psutil.Process(each).status() == "zombie" for each in alive(pids(study))))
    assert len(run.study().get_trials(states=(TrialState.RUNNING,))) == 2
    study = finish_quickly(run, monkeypatch)
    check_nothing_lost_or_doubled(study, 4)
    assert sum(Record.of(trial).void == INTERRUPTED for trial in study.trials) == 2


@pytest.mark.slow
def test_the_error_of_a_worker_is_the_error_of_the_search(
    tmp_path: Path, made: Callable[..., SearchConfig]
) -> None:
    search = made(QUICK, "4").replace(limits={"macs": 5.0})
    run = start_run(tmp_path / "run", search, None)
    with pytest.raises(
        RunError, match="a worker stopped: no candidate meets macs <= 5: the smallest possible is"
    ):
        launch(run, 1, log=tmp_path / "log.txt")
    assert running(run.study()) == []
