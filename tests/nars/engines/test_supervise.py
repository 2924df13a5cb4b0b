"""Worker processes share one budget, and a search survives whatever happens to them."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import psutil
import pytest
from optuna.study import Study
from optuna.trial import FrozenTrial, TrialState
from stub_task import TINY, config, search, trials

from nars.artifacts.location import store_of_run
from nars.engines import assignment as assigning
from nars.engines import base
from nars.engines import supervise as supervising
from nars.engines.base import End, manner_of
from nars.engines.local import Local
from nars.engines.supervise import supervise
from nars.errors import InfeasibleError, RunError
from nars.networks.latency import COUNT, Latency
from nars.runs.config import SearchConfig
from nars.runs.request import SearchRequest
from nars.runs.run import Run, open_run, start_run
from nars.searching.configure import configure
from nars.studies import latency_samples
from nars.tasks.classification import Classification
from nars.trials import INTERRUPTED, Record, counts, write
from nars.workers import liveness
from nars.workers.requeue import bury

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


def launch(
    run: Run, workers: int, watch: Callable[[Study], None] | None = None, log: Path | None = None
) -> Study:
    """Supervise the workers of a search and return its study."""
    study = run.study()
    supervise(run, study, store_of_run(run.folder, study), Local(), workers, watch, log)
    return study


def test_two_workers_share_a_search(tmp_path: Path, made: Callable[..., SearchConfig]) -> None:
    run = start_run(tmp_path / "run", made(QUICK, "6"), None)
    polls: list[int] = []
    study = launch(run, 2, lambda found: polls.append(len(found.trials)), log=tmp_path / "run" / "log.txt")
    check_nothing_lost_or_doubled(study, 6)
    assert [trial.state for trial in trials(study)] == [TrialState.COMPLETE] * 6
    assert len(pids(study)) == 2
    assert alive(pids(study)) == set()
    assert polls
    assert {"best.yaml", "pareto.csv", "trials.csv", "log.txt"} <= {
        file.name for file in run.folder.iterdir()
    }
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


@pytest.fixture
def fake(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[[str], Run]:
    """Make a run whose workers are a line of Python."""

    def make(line: str) -> Run:
        monkeypatch.setattr(assigning, "NARS", ("-S", "-c", line))
        monkeypatch.setattr(supervising, "POLL_SECONDS", 0.02)
        return start_run(tmp_path / "run", config("4"), None)

    return make


def test_workers_that_only_die_are_not_started_for_ever(fake: Callable[[str], Run]) -> None:
    with pytest.raises(
        RunError, match="8 workers died one after the other, the last with exit code 3; see above"
    ):
        launch(fake("raise SystemExit(3)"), 2)


def test_a_mistake_that_every_worker_would_meet_ends_the_search_at_once(
    fake: Callable[[str], Run], tmp_path: Path
) -> None:
    (tmp_path / "log.txt").write_text("nars: an older error\n[I] trial 3\nnars: no data at photos\nmore\n")
    with pytest.raises(RunError, match=r"a worker stopped: no data at photos$"):
        launch(fake("raise SystemExit(2)"), 1, log=tmp_path / "log.txt")
    with pytest.raises(RunError, match=r"a worker stopped: see above$"):
        launch(fake("raise SystemExit(2)"), 1)


def test_a_search_that_ends_with_an_error_leaves_no_worker(fake: Callable[[str], Run]) -> None:
    run, started = fake("import time; time.sleep(60)"), time.monotonic()
    children = {child.pid for child in psutil.Process().children()}

    def fail(study: Study) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        launch(run, 2, fail)
    assert {child.pid for child in psutil.Process().children()} <= children
    assert time.monotonic() - started < 15


def test_a_trial_without_a_worker_is_made_up_for_though_all_others_had_ended(
    fake: Callable[[str], Run], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A worker that is killed before it has signed its trial leaves nothing to repeat."""
    monkeypatch.setattr(liveness, "_UNSIGNED_SECONDS", 0.5)
    run = fake(f"open({str(tmp_path / 'starts')!r}, 'a').write('x')")
    run.study().ask()
    launch(run, 1)
    assert (tmp_path / "starts").read_text() == "xx"


def test_no_worker_is_started_for_a_trial_that_the_budget_no_longer_allows(
    fake: Callable[[str], Run], tmp_path: Path
) -> None:
    """A worker died just before the time was up: it would find nothing to do, again and again."""
    starts = tmp_path / "starts"
    run = fake(f"open({str(starts)!r}, 'a').write('x')")
    run = replace(run, config=run.config.replace(budget="5s"))
    study = run.study()
    done, dead = (study.ask(dict(run.config.space.distributions)) for _ in range(2))
    for trial in (done, dead):
        write(study, trial, Record(worker="elsewhere:1:1.0", worked=6.0, measured={"accuracy": 0.5}))
    study.tell(done, 0.5)
    bury(study, study.trials[dead.number], run.config.space, "died with SIGKILL")

    def stop_at_ten(study: Study) -> None:
        assert not starts.exists() or len(starts.read_text()) < 10

    launch(run, 1, stop_at_ten)
    assert starts.read_text() == "x"
    assert [trial.state for trial in study.trials][2] == TrialState.WAITING


def test_a_worker_that_was_taken_away_is_said_once_and_not_replaced(
    fake: Callable[[str], Run], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    class Member(base.Member):
        def __init__(self, number: int, began: float) -> None:
            self.number, self.began = number, began

        def end(self) -> End | None:
            if self.number == 0:
                return End(1, "was lost by Slurm (CANCELLED)", cancelled=True)
            return End(0) if time.monotonic() - self.began > 0.3 else None

        def stop(self) -> None: ...

        kill = stop

    started: list[int] = []

    @contextlib.contextmanager
    def opened(engine: Local, assignment: object, workers: int) -> Iterator[base.Start]:
        def start(numbers: Sequence[int]) -> list[base.Member]:
            started.extend(numbers)
            return [Member(number, time.monotonic()) for number in numbers]

        yield start

    monkeypatch.setattr(Local, "opened", opened)
    launch(fake(""), 2)
    assert started == [0, 1]
    assert caplog.text.count("worker 0 was lost by Slurm (CANCELLED); no other takes its place") == 1


def test_a_folder_that_cannot_be_written_is_said_once_and_that_it_can_be_again(
    fake: Callable[[str], Run], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    obstacles = iter(["is on a full disk", "is on a full disk", None, None])
    monkeypatch.setattr(supervising, "_obstacle", lambda folder: next(obstacles, None))
    monkeypatch.setattr(supervising, "POLL_SECONDS", 0.1)
    run = fake("import time; time.sleep(1)")
    launch(run, 1)
    said = [record.getMessage() for record in caplog.records if str(run.folder) in record.getMessage()]
    assert said == [
        f"{run.folder} is on a full disk; workers wait for it, trainings go on",
        f"{run.folder} can be written again",
    ]


def test_what_a_folder_lacks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert supervising._obstacle(tmp_path) is None
    assert supervising._obstacle(tmp_path / "away") == "is gone"
    monkeypatch.setattr(os, "access", lambda path, mode: False)
    assert supervising._obstacle(tmp_path) == "cannot be written"


def test_results_that_cannot_be_written_end_no_search(
    fake: Callable[[str], Run], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    run, tried = fake("import time; time.sleep(1)"), list[int]()

    def write_results(run: Run, study: Study) -> None:
        tried.append(len(study.trials))
        if len(tried) < 3:
            raise RunError("cannot write trials.csv: No space left on device")

    def finish_one(study: Study) -> None:
        if not study.trials:
            study.tell(study.ask(), state=TrialState.FAIL)

    monkeypatch.setattr(supervising, "_WRITE_SECONDS", 0.05)
    monkeypatch.setattr(supervising, "write_results", write_results)
    launch(run, 1, finish_one)
    assert tried == [1, 1, 1]
    assert caplog.text.count("No space left on device; the search goes on") == 1


def test_only_the_trial_of_the_worker_that_died_is_taken_from_it(fake: Callable[[str], Run]) -> None:
    study = fake("pass").study()
    for worker in ("here:12:5.0", "here:121:5.0", "elsewhere:12:1.0", None):
        trial = study.ask()
        if worker is not None:
            trial.set_user_attr("worker", worker)
    left = supervising._running_in(study, End(1, manner_of(1), "here:12:"))
    assert [trial.number for trial in left] == [0]
    assert supervising._running_in(study, End(1, "was lost")) == []
