"""A killed trial is continued by another worker, bit for bit, and keeps its weights."""

from __future__ import annotations

import errno
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import boto3
import moto
import pytest
import torch
from stub_task import TINY, StubTask, config, trials

import nars
from nars.artifacts.store import Store
from nars.errors import RunError
from nars.networks.weights import load_weights
from nars.runs.config import SearchConfig
from nars.runs.request import SearchRequest
from nars.runs.run import open_run
from nars.searching.configure import configure
from nars.searching.results import winner
from nars.tasks.base import Outcome
from nars.training import loop
from nars.training.loop import Progress
from nars.trials import INTERRUPTED, Record
from nars.workers import keeper
from nars.workers.trial import Watch

EPOCHS = 6

RECIPE = f"epochs: {EPOCHS}\n  ema_decay: 0.9\n  mixup: 0.2"


@pytest.fixture(scope="module")
def given(tmp_path_factory: pytest.TempPathFactory) -> SearchConfig:
    """A search of one trial on digits, whose recipe has everything that a checkpoint has to hold."""
    file = tmp_path_factory.mktemp("space") / "tiny.yaml"
    file.write_text(TINY.replace("epochs: {low: 2, high: 5}", RECIPE))
    request = SearchRequest(space=file, data="digits", budget="1", sampler="random", device="cpu")
    return configure(request)


@pytest.fixture(scope="module")
def whole(given: SearchConfig, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The run folder of the search without an interruption."""
    folder = tmp_path_factory.mktemp("whole") / "run"
    nars.search(given, folder)
    return folder


@pytest.fixture
def epochs_trained(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The numbers of the epochs that were trained in this process."""
    seen: list[int] = []
    original = Watch.__call__

    def call(self: Watch, progress: Progress) -> bool:
        seen.append(progress.epoch)
        return original(self, progress)

    monkeypatch.setattr(Watch, "__call__", call)
    return seen


def check_equal(folder: Path, whole: Path) -> None:
    """Check that the search in `folder` has the very result of the one that was not interrupted."""
    (expected,), (trial,) = (trials(open_run(each).study()) for each in (whole, folder))
    assert (trial.params, trial.values) == (expected.params, expected.values)
    assert trial.intermediate_values == expected.intermediate_values
    records = [Record.of(each) for each in (trial, expected)]
    assert records[0].curve == records[1].curve
    assert (records[0].seed, records[0].epochs) == (records[1].seed, records[1].epochs)
    states = [load_weights(each / "weights" / "best.pt").state for each in (folder, whole)]
    assert states[0].keys() == states[1].keys()
    assert all(torch.equal(tensor, states[1][name]) for name, tensor in states[0].items())


def checkpoints(folder: Path) -> list[Any]:
    return [Record.of(trial).artifact_checkpoint for trial in open_run(folder).study().trials]


def test_an_interrupted_trial_goes_on_where_it_was_bit_for_bit(
    given: SearchConfig, whole: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    original, seen = Watch.__call__, []

    def interrupted(self: Watch, progress: Progress) -> bool:
        seen.append(progress.epoch)
        if seen == [1, 2, 3, 4]:  # before the fourth epoch is judged: the third is what is left
            raise KeyboardInterrupt
        if seen[4:] == [4, 5]:
            raise SystemExit(143)
        return original(self, progress)

    monkeypatch.setattr(Watch, "__call__", interrupted)
    for expected in (KeyboardInterrupt, SystemExit):
        with pytest.raises(expected):
            nars.search(given, tmp_path / "run")
    nars.search(given, tmp_path / "run")
    assert seen == [1, 2, 3, 4, 4, 5, 5, 6]
    check_equal(tmp_path / "run", whole)
    study = open_run(tmp_path / "run").study()
    assert [Record.of(trial).void for trial in study.trials] == [INTERRUPTED, INTERRUPTED, None]
    assert len(list((tmp_path / "run" / "artifacts").iterdir())) == 1  # the weights


KILLED = """
import sys
from pathlib import Path
import torch, nars
from nars.runs.config import SearchConfig
from nars.workers import keeper
torch.set_num_threads(1)
keeper.KEEP_SECONDS = 0.0
nars.search(SearchConfig.load(Path(sys.argv[1])), sys.argv[2])
"""


def test_a_killed_worker_leaves_what_another_goes_on_from(
    given: SearchConfig, whole: Path, tmp_path: Path, epochs_trained: list[int]
) -> None:
    (tmp_path / "search.yaml").write_text(given.to_yaml())
    folder = tmp_path / "run"
    process = subprocess.Popen([sys.executable, "-c", KILLED, tmp_path / "search.yaml", folder])
    deadline = time.monotonic() + 60
    while not (
        (folder / "config.yaml").exists()
        and (kept := checkpoints(folder))
        and kept[0] is not None
        and len(kept[0].measurements) >= 2
    ):
        assert time.monotonic() < deadline
        assert process.poll() is None
        time.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    process.wait()
    nars.search(given, folder)
    assert 0 < len(epochs_trained) <= EPOCHS - 2
    assert epochs_trained == list(range(EPOCHS - len(epochs_trained) + 1, EPOCHS + 1))
    check_equal(folder, whole)


def test_a_checkpoint_is_kept_now_and_then_and_gone_at_the_end(
    given: SearchConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    purposes: list[str] = []
    original = keeper.keep

    def keep(trial: Any, store: Store, purpose: Any, *rest: Any) -> None:
        purposes.append(purpose)
        original(trial, store, purpose, *rest)

    clock = iter(range(0, 1000, 12))
    monkeypatch.setattr(keeper, "keep", keep)
    monkeypatch.setattr(keeper, "time", SimpleNamespace(monotonic=lambda: float(next(clock))))
    nars.search(given, tmp_path / "run")
    assert purposes == ["checkpoint", "weights"]  # 12 seconds per look at the clock, six epochs
    (record,) = (Record.of(trial) for trial in open_run(tmp_path / "run").study().trials)
    assert record.artifact_checkpoint is not None
    assert record.artifact_weights is not None
    assert [file.name for file in (tmp_path / "run" / "artifacts").iterdir()] == [record.artifact_weights.id]


def test_a_checkpoint_that_no_longer_fits_is_not_used(
    given: SearchConfig,
    whole: Path,
    tmp_path: Path,
    epochs_trained: list[int],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    original = loop.restore

    def refusing(path: Path | None, *rest: Any) -> Any:
        if path is not None and path.exists():
            raise RunError(f"{path} is of another training")
        return original(path, *rest)

    call = Watch.__call__

    def stop(self: Watch, progress: Progress) -> bool:
        if progress.epoch == 3:
            raise KeyboardInterrupt
        return call(self, progress)

    monkeypatch.setattr(Watch, "__call__", stop)
    with pytest.raises(KeyboardInterrupt):
        nars.search(given, tmp_path / "run")
    monkeypatch.setattr(Watch, "__call__", call)
    monkeypatch.setattr(loop, "restore", refusing)
    nars.search(given, tmp_path / "run")
    assert epochs_trained == [1, 2, *range(1, EPOCHS + 1)]
    check_equal(tmp_path / "run", whole)


def test_a_full_disk_for_checkpoints_costs_no_trial(
    given: SearchConfig, whole: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(path: Path | None, *rest: Any) -> None:
        if path is None:
            return
        raise RunError(f"cannot write {path}: No space left on device")

    monkeypatch.setattr(loop, "save", full)
    nars.search(given, tmp_path / "run")
    check_equal(tmp_path / "run", whole)


def writing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the stub task write its score as its weights."""
    original = StubTask.run

    def run(self: StubTask, *given: Any, **named: Any) -> Outcome:
        outcome = original(self, *given, **named)
        return replace(outcome, write=lambda path: path.write_text(repr(outcome.score)) and None)

    monkeypatch.setattr(StubTask, "run", run)


def test_a_full_disk_costs_the_weights_and_no_score(
    stub: type[StubTask], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    writing(monkeypatch)
    whole = nars.search(config("6"), tmp_path / "whole").study

    def full(self: Store, *given: Any) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Store, "write", full)
    caplog.clear()
    study = nars.search(config("6"), tmp_path / "run").study
    assert [trial.values for trial in trials(study)] == [trial.values for trial in trials(whole)]
    told = [record.getMessage() for record in caplog.records if "No space left" in record.getMessage()]
    assert told == [
        f"cannot keep weights in {tmp_path}/run/artifacts: No space left on device; "
        "the search continues, and says this once"
    ]
    assert list((tmp_path / "run" / "artifacts").iterdir()) == []
    assert not (tmp_path / "run" / "weights").exists()


def test_a_bucket_serves_the_run_folder(
    stub: type[StubTask], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    writing(monkeypatch)
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "testing")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    with moto.mock_aws():
        boto3.client("s3").create_bucket(Bucket="photos")
        study = nars.search(config("12"), tmp_path / "run", artifacts="s3://photos/run").study
        with pytest.raises(RunError, match="run keeps its weights in s3://photos/run: repeat --artifacts"):
            nars.search(config("13"), tmp_path / "run")
        held = boto3.client("s3").list_objects(Bucket="photos")["Contents"]
    assert not (tmp_path / "run" / "artifacts").exists()
    best = winner(study, config("12"))
    median = best.median
    values = study.trials[median].values
    assert (tmp_path / "run" / "weights" / "best.pt").read_text() == repr(values[0])
    assert 1 <= len(held) < 12  # the rest was deleted


def test_no_space_in_the_run_folder_costs_no_result(
    stub: type[StubTask], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    writing(monkeypatch)

    def full(*given: Any) -> None:
        raise RunError("cannot write best.pt: No space left on device")

    monkeypatch.setattr("nars.artifacts.files.write_whole", full)
    assert nars.search(config("3"), tmp_path / "run").best
    assert "cannot write best.pt: No space left on device; the search has its scores" in caplog.text
