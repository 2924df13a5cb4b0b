"""However workers end, or what they write to is away: the search goes on, or says why not."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import psutil
import pytest
from launching import launch
from optuna.study import Study
from optuna.trial import TrialState
from stub_task import config

from nars.engines import assignment as assigning
from nars.engines import base
from nars.engines import supervise as supervising
from nars.engines.base import End, manner_of
from nars.engines.local import Local
from nars.errors import RunError
from nars.runs.run import Run, start_run
from nars.trials import Record, write
from nars.workers import liveness
from nars.workers.requeue import bury


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

    def one_ends_and_one_dies(study: Study) -> None:
        assert not starts.exists() or len(starts.read_text()) < 10
        if study.trials[done.number].state == TrialState.RUNNING:
            study.tell(done, 0.5)
            bury(study, study.trials[dead.number], run.config.space, "died with SIGKILL")

    launch(run, 1, one_ends_and_one_dies)
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
