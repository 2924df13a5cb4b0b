"""Searches that are killed, interrupted or run out of disk, and continue on the same path."""

from __future__ import annotations

import errno
import os
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from optuna.study import Study
from optuna.trial import TrialState
from stub_task import StubTask, config, hook_at, path, search, trials

import nars
from nars.artifacts.store import open_store
from nars.errors import RunError, StorageAwayError
from nars.runs import outage
from nars.runs.run import open_run
from nars.sampling.proposer import Proposer
from nars.trials import INTERRUPTED, Record
from nars.workers import worker
from nars.workers.requeue import interrupt


@pytest.mark.parametrize(
    ("sampler", "when"),
    [("nars", 0), ("nars", 5), ("nars", 11), ("nars", 15), ("random", 0), ("tpe", 11), ("qmc", 15)],
)
def test_a_killed_search_resumed_takes_the_same_path(
    stub: type[StubTask], tmp_path: Path, sampler: str, when: int
) -> None:
    given = config("16", sampler=sampler)
    expected = path(search(given, tmp_path / "whole"))
    stub.trained.clear()
    stub.hook = hook_at(when, KeyboardInterrupt())
    with pytest.raises(KeyboardInterrupt):
        search(given, tmp_path / "killed")
    stub.hook = None
    study = search(given, tmp_path / "killed")
    assert path(study) == expected
    assert len(stub.trained) == 17  # one candidate twice, with the same seed
    killed, again = stub.trained[when : when + 2]
    assert (again[0].recipe, again[0].architecture.stages, again[1]) == (
        killed[0].recipe,
        killed[0].architecture.stages,
        killed[1],
    )
    repeated = [trial for trial in trials(study) if Record.of(trial).repeats is not None]
    assert [Record.of(trial).repeats for trial in repeated] == [when]


def test_killed_again_and_again(stub: type[StubTask], tmp_path: Path) -> None:
    """The search is killed in the first epoch of every training, before anything is known of it."""
    given = config("8")
    expected = path(search(given, tmp_path / "whole"))
    for _ in range(7):
        begun = len(stub.trained)
        stub.hook = hook_at(begun + 1, SystemExit(143), epoch=0)
        with pytest.raises(SystemExit):
            search(given, tmp_path / "killed")
    stub.hook = None
    assert path(search(given, tmp_path / "killed")) == expected


@pytest.mark.parametrize("raised", [KeyboardInterrupt(), MemoryError(), RuntimeError("a bug")], ids=repr)
def test_an_interruption_while_proposing_leaves_nothing_running(
    stub: type[StubTask], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, raised: BaseException
) -> None:
    given = config("12")
    expected = path(search(given, tmp_path / "whole"))

    def fail(*arguments: Any) -> Any:
        raise raised

    with monkeypatch.context() as during:
        during.setattr("nars.sampling.proposer.Proposer._choose", fail)
        with pytest.raises(type(raised)):
            search(given, tmp_path / "killed")
    study = open_run(tmp_path / "killed").study()
    assert TrialState.RUNNING not in {trial.state for trial in study.trials}
    assert path(search(given, tmp_path / "killed")) == expected


def test_an_interruption_after_the_score_is_told_repeats_nothing(
    stub: type[StubTask], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    given, tell = config("6", sampler="random"), Study.tell

    def interrupted(self: Study, *arguments: Any, **options: Any) -> Any:
        told = tell(self, *arguments, **options)
        if len(stub.trained) == 3:
            raise SystemExit(143)
        return told

    with monkeypatch.context() as during:
        during.setattr(Study, "tell", interrupted)
        with pytest.raises(SystemExit):
            search(given, tmp_path / "run")
    study = search(given, tmp_path / "run")
    assert len(stub.trained) == 6
    assert not [trial for trial in study.trials if Record.of(trial).void]


def test_a_storage_that_is_away_makes_no_training_start_anew(stub: type[StubTask], tmp_path: Path) -> None:
    stub.hook = hook_at(1, StorageAwayError("away"))
    with pytest.raises(StorageAwayError):
        search(config("6", sampler="random"), tmp_path / "run")
    assert len(stub.trained) == 2


def test_our_own_errors_are_not_a_candidates_fault(stub: type[StubTask], tmp_path: Path) -> None:
    stub.hook = hook_at(1, AssertionError("ours"))
    with pytest.raises(AssertionError, match="ours"):
        search(config("6"), tmp_path / "run")
    states = [Record.of(trial).void for trial in open_run(tmp_path / "run").study().trials]
    assert states == [None, INTERRUPTED, None]


@pytest.mark.parametrize("objectives", [("accuracy",), ("accuracy", "macs")])
def test_a_trial_that_was_given_to_another_worker_meanwhile_is_left_to_that(
    objectives: tuple[str, ...],
    stub: type[StubTask],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """A laptop slept for some minutes; another machine found its worker silent."""
    given = config("4", sampler="random", objectives=objectives)
    expected = path(search(given, tmp_path / "whole"))

    def give_away(nth: int, epoch: int) -> None:
        if (nth, epoch) == (5, 1):
            study = replace(open_run(tmp_path / "run"), starts=True).study()
            interrupt(study, study.trials[1], given.space)

    stub.hook = give_away
    discarded: list[int] = []
    monkeypatch.setattr(worker, "discard_checkpoint", lambda store, trial: discarded.append(trial.number))
    assert path(search(given, tmp_path / "run")) == expected
    assert discarded == [0, 2, 3, 4]
    assert "trial 1 was given to another worker meanwhile" in caplog.text


def test_a_trial_that_was_given_away_while_it_was_proposed_is_left(
    stub: type[StubTask], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    given, choose = config("12"), Proposer._choose
    expected = path(search(given, tmp_path / "whole"))
    given_away: list[int] = []

    def slowly(*arguments: Any) -> Any:
        if not given_away:
            study = replace(open_run(tmp_path / "run"), starts=True).study()
            (trial,) = (trial for trial in study.trials if trial.state == TrialState.RUNNING)
            given_away.append(trial.number)
            interrupt(study, trial, given.space)
        return choose(*arguments)

    monkeypatch.setattr(Proposer, "_choose", slowly)
    assert path(search(given, tmp_path / "run")) == expected
    assert given_away
    assert "a trial was given to another worker while its candidate was proposed" in caplog.text


def full(file: int) -> None:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def test_a_full_disk_ends_the_search_if_nobody_makes_room_and_the_run_goes_on_later(
    stub: type[StubTask], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    given = config("8", sampler="random")
    expected = path(search(given, tmp_path / "whole"))
    stub.trained.clear()
    stub.hook = lambda nth, epoch: monkeypatch.setattr("os.fsync", full) if nth == 3 else None
    with monkeypatch.context() as hurried:
        hurried.setattr(outage, "PATIENCE_SECONDS", 0.0)
        with pytest.raises(StorageAwayError, match="is away for 0 minutes: No space left"):
            search(given, tmp_path / "run")
    stub.hook = None
    monkeypatch.setattr("os.fsync", lambda file: None)
    kill_workers_of(tmp_path / "run")
    study = search(given, tmp_path / "run")
    assert path(study) == expected


def test_a_full_disk_is_waited_out(
    stub: type[StubTask], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """The training goes on while its scores cannot be written; the search waits with its result."""
    given = config("5", sampler="random")
    expected = path(search(given, tmp_path / "whole"))
    stub.trained.clear()
    pauses: list[float] = []

    def pause(seconds: float) -> None:
        pauses.append(seconds)
        if len(pauses) == 3:
            monkeypatch.setattr("os.fsync", lambda file: None)

    monkeypatch.setattr(outage.time, "sleep", pause)
    stub.hook = lambda nth, epoch: monkeypatch.setattr("os.fsync", full) if (nth, epoch) == (2, 0) else None
    study = search(given, tmp_path / "run")
    assert path(study) == expected
    assert len(stub.trained) == 5
    assert pauses[:3] == [0.25, 0.5, 1.0]
    away, back = (record.message for record in caplog.records if "answer" in record.message)
    assert away.endswith("does not answer: No space left on device; waiting, trainings go on")
    assert "answers again after" in back


def kill_workers_of(folder: Path) -> None:
    """Make the trials left running look as if their process, which is this one, had ended."""
    study = replace(open_run(folder), starts=True).study()
    for trial in study.get_trials(states=(TrialState.RUNNING,)):
        study._storage.set_trial_user_attr(trial._trial_id, "worker", f"{os.uname().nodename}:999999999:1.0")


def test_a_disk_without_room_is_reported_before_anything_is_trained(
    stub: type[StubTask], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("nars.files.shutil.disk_usage", lambda folder: SimpleNamespace(free=3e6))
    with pytest.raises(RunError, match="only 3 MB are free there, a search needs 50"):
        nars.search(config("2"), tmp_path / "run")
    with pytest.raises(RunError, match="only 3 MB are free there, a search needs 50"):
        open_store(tmp_path / "store", create=True)
    assert stub.trained == []
