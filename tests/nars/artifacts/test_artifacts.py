"""The files beside a study: kept whole, found again, never from or to where nobody asked for."""

from __future__ import annotations

import errno
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

import boto3
import moto
import optuna
import pytest
from optuna.artifacts import FileSystemArtifactStore
from optuna.exceptions import UpdateFinishedTrialError
from optuna.study import Study
from optuna.trial import TrialState
from stub_task import config

from nars.artifacts.files import fetch, keep
from nars.artifacts.location import store_of_run, store_of_worker
from nars.artifacts.store import Store, open_store
from nars.errors import RunError, StorageAwayError, UsageError
from nars.runs.run import Run, start_run
from nars.studies import StoreLocation, store_location, write_store_location
from nars.trials import Record, artifact_of

BUCKET = "s3://photos/first/run"


@pytest.fixture
def run(tmp_path: Path) -> Run:
    return start_run(tmp_path / "first", config(), None)


@pytest.fixture
def bucket(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "testing")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    with moto.mock_aws():
        client = boto3.client("s3")
        client.create_bucket(Bucket="photos")
        yield client


@pytest.fixture(params=["folder", BUCKET])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Store:
    if request.param == "folder":
        return open_store(tmp_path / "store", create=True)
    request.getfixturevalue("bucket")
    return open_store(BUCKET)


def _written(file: Path, text: str = "weights") -> Path:
    file.write_text(text)
    return file


def _study() -> Study:
    return optuna.create_study()


def test_nothing_is_kept_for_a_trial_that_was_given_to_another_worker(tmp_path: Path) -> None:
    """It is no fault of the store, which would be said to have failed."""
    study, store = _study(), open_store(tmp_path / "store", create=True)
    trial = study.ask()
    study.tell(trial.number, state=TrialState.FAIL)
    with pytest.raises(UpdateFinishedTrialError):
        keep(trial, store, "checkpoint", _written(tmp_path / "checkpoint.pt"))
    assert not list((tmp_path / "store").iterdir())


def test_a_kept_file_comes_back_and_the_last_one_replaces_the_one_before(
    store: Store, tmp_path: Path
) -> None:
    study = _study()
    trial = study.ask()
    keep(trial, store, "checkpoint", _written(tmp_path / "a", "first"))
    first = artifact_of(trial, "checkpoint")
    keep(trial, store, "checkpoint", _written(tmp_path / "a", "second"), ((1, 3, 0.1), (2, 3, 1 / 3)))
    assert fetch(study.trials[0], store, "checkpoint", tmp_path / "b") == tmp_path / "b"
    assert (tmp_path / "b").read_text() == "second"
    record = Record.of(study.trials[0])
    assert record.artifact_checkpoint is not None
    assert record.artifact_checkpoint.measurements == ((1, 3, 0.1), (2, 3, 1 / 3))
    assert (record.artifact_weights, dict(record.measured)) == (None, {})
    assert first is not None
    assert first.size == 5
    with pytest.raises(optuna.artifacts.exceptions.ArtifactNotFound):
        store.open_reader(first.id)


def test_a_study_has_files_too_and_nothing_is_fetched_that_was_not_kept(store: Store, tmp_path: Path) -> None:
    study = _study()
    assert fetch(study, store, "reference", tmp_path / "b") is None
    keep(study, store, "reference", _written(tmp_path / "a"))
    assert fetch(study, store, "reference", tmp_path / "b") == tmp_path / "b"
    artifact = artifact_of(study, "reference")
    assert artifact is not None
    store.remove(artifact.id)
    assert fetch(study, store, "reference", tmp_path / "c") is None
    assert not (tmp_path / "c").exists()


def test_a_bucket_holds_the_files_below_its_prefix(bucket: Any, tmp_path: Path) -> None:
    study = _study()
    keep(study, open_store(BUCKET + "/"), "reference", _written(tmp_path / "a"))
    artifact = artifact_of(study, "reference")
    assert artifact is not None
    assert [item["Key"] for item in bucket.list_objects(Bucket="photos")["Contents"]] == [
        f"first/run/{artifact.id}"
    ]


@pytest.mark.parametrize("damage", ["weight", "Weights"])
def test_a_file_that_was_cut_short_or_altered_is_not_used(
    tmp_path: Path, damage: str, caplog: pytest.LogCaptureFixture
) -> None:
    study, store = _study(), open_store(tmp_path / "store", create=True)
    keep(study, store, "reference", _written(tmp_path / "a"))
    artifact = artifact_of(study, "reference")
    assert artifact is not None
    (tmp_path / "store" / artifact.id).write_text(damage)
    assert fetch(study, store, "reference", tmp_path / "b") is None
    assert "is not what was kept" in caplog.text
    assert not (tmp_path / "b").exists()


def test_a_store_that_does_not_answer_is_not_an_empty_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """A search was to be started anew because its reference could not be read."""
    study, store = _study(), open_store(tmp_path / "store", create=True)
    keep(study, store, "reference", _written(tmp_path / "a"))

    def silent(name: str) -> BinaryIO:
        raise TimeoutError("no answer")

    monkeypatch.setattr(store, "open_reader", silent)
    assert fetch(study, store, "reference", tmp_path / "b") is None
    assert "cannot read reference in" in caplog.text
    with pytest.raises(StorageAwayError, match=r"cannot read reference in .*: no answer"):
        fetch(study, store, "reference", tmp_path / "b", is_needed=True)


class FullDisk(FileSystemArtifactStore):
    """A folder on a disk that is full after one byte."""

    def write(self, artifact_id: str, content_body: BinaryIO) -> None:
        Path(self._base_path, artifact_id).write_bytes(content_body.read(1))
        raise OSError(errno.ENOSPC, "No space left on device")


def test_a_full_disk_is_one_line_and_leaves_the_last_file(tmp_path: Path) -> None:
    study, folder = _study(), tmp_path / "store"
    keep(study, open_store(folder, create=True), "reference", _written(tmp_path / "a"))
    full = Store(str(folder), FullDisk(folder))
    with pytest.raises(RunError, match=r"^cannot keep reference in .*store: No space left on device$"):
        keep(study, full, "reference", _written(tmp_path / "a", "newer"))
    assert fetch(study, full, "reference", tmp_path / "b") is not None
    assert (tmp_path / "b").read_text() == "weights"
    assert len(list(folder.iterdir())) == 1


def test_only_files_that_a_store_named_are_read_or_deleted(tmp_path: Path) -> None:
    study, store = _study(), open_store(tmp_path, create=True)
    _written(tmp_path / "diary")
    store.remove("diary")
    study.set_user_attr("artifact_reference", {"id": "diary", "size": 7, "sha256": "", "measurements": []})
    assert fetch(study, store, "reference", tmp_path / "b") is None
    assert (tmp_path / "diary").exists()


def test_a_run_keeps_its_files_in_its_folder_wherever_that_is(run: Run, tmp_path: Path) -> None:
    study = run.study()
    store = store_of_run(run.folder, study)
    assert store.location == str(run.folder / "artifacts")
    keep(study, store, "reference", _written(tmp_path / "a"))
    shutil.move(run.folder, tmp_path / "moved")
    moved = start_run(tmp_path / "moved", config(), None)
    joined = store_of_worker(moved.study(), moved.storage)
    assert joined is not None
    assert joined.location == str(tmp_path / "moved" / "artifacts")
    again = store_of_run(moved.folder, moved.study())
    assert fetch(moved.study(), again, "reference", tmp_path / "b") is not None
    assert store_location(moved.study()) == StoreLocation(again.location, in_run=True)


def test_a_worker_with_a_database_finds_the_folder_of_the_run(run: Run, tmp_path: Path) -> None:
    run = Run(run.folder, run.config, f"sqlite:///{tmp_path}/study.db", run.name, starts=True)
    study = run.study()
    assert store_of_worker(study, run.storage) is None
    store = store_of_run(run.folder, study)
    joined = store_of_worker(study, run.storage)
    assert joined is not None
    assert joined.location == store.location


def test_a_worker_that_does_not_see_the_run_folder_is_told_what_to_do(
    run: Run, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    study = run.study()
    write_store_location(study, StoreLocation(str(tmp_path / "elsewhere" / "artifacts"), in_run=True))
    assert store_of_worker(study, f"sqlite:///{tmp_path}/study.db") is None
    assert "this machine does not see" in caplog.text
    assert "--artifacts" in caplog.text


def test_a_folder_that_is_new_may_be_a_mistake(
    run: Run, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    study, new = run.study(), str(tmp_path / "new")
    store_of_run(run.folder, study, new)
    assert caplog.text.count(f"there was no {new}: it was made, to keep weights and checkpoints in") == 1
    store_of_run(run.folder, study, new)
    store_of_run(run.folder, study, str(run.folder / "artifacts"))
    assert caplog.text.count("there was no") == 2


@pytest.mark.parametrize("is_reference", [True, False])
def test_another_store_is_refused_before_anything_is_written_unless_it_has_the_files(
    run: Run, tmp_path: Path, is_reference: bool
) -> None:
    study, own, new = run.study(), run.folder / "artifacts", tmp_path / "new"
    store = store_of_run(run.folder, study)
    if is_reference:
        keep(study, store, "reference", _written(tmp_path / "a"))
    else:
        keep(study.ask(), store, "checkpoint", _written(tmp_path / "a"))
    recorded = store_location(study)
    where = f"keeps its weights in {own}, and {new} has none of them"
    with pytest.raises(RunError, match=f"^{run.folder} {where}: leave out --artifacts, or copy them first$"):
        store_of_run(run.folder, study, str(new))
    assert not new.exists()
    assert store_location(study) == recorded
    assert store_of_run(run.folder, study).location == str(own)
    new.mkdir()
    with pytest.raises(RunError, match=f"^study first {where}"):
        store_of_worker(study, run.storage, str(new))
    with pytest.raises(RunError, match=where):
        store_of_run(run.folder, study, str(new))
    shutil.copytree(own, new, dirs_exist_ok=True)
    assert store_of_run(run.folder, study, str(new)).location == str(new)
    with pytest.raises(RunError, match=f"{tmp_path}/third has none of them: repeat --artifacts {new}, or"):
        store_of_run(run.folder, study, f"{tmp_path}/third")


def test_a_store_moves_to_a_bucket_that_has_its_files(run: Run, tmp_path: Path, bucket: Any) -> None:
    study = run.study()
    store = store_of_run(run.folder, study)
    keep(study, store, "reference", _written(tmp_path / "a"))
    for location in (BUCKET, "s3://nowhere"):
        with pytest.raises(RunError, match=f"and {location} has none of them"):
            store_of_run(run.folder, study, location)
    artifact = artifact_of(study, "reference")
    assert artifact is not None
    bucket.upload_file(str(tmp_path / "a"), "photos", f"first/run/{artifact.id}")
    assert store_of_run(run.folder, study, BUCKET + "/").location == BUCKET


@pytest.mark.parametrize("below", ["", "/deeper/still"])
def test_a_store_that_cannot_be_made_is_not_announced(
    run: Run, tmp_path: Path, caplog: pytest.LogCaptureFixture, below: str
) -> None:
    study, file = run.study(), _written(tmp_path / "file")
    with pytest.raises(UsageError, match=f"^--artifacts {file}{below}: {file} is a file: give a folder$"):
        store_of_run(run.folder, study, f"{file}{below}")
    with pytest.raises(UsageError, match="is a file: give a folder"):
        store_of_worker(study, run.storage, f"{file}{below}")
    assert "there was no" not in caplog.text


def test_a_folder_on_a_full_disk_is_neither_announced_nor_made(
    run: Run, tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    study, new = run.study(), tmp_path / "new" / "store"
    monkeypatch.setattr("nars.files._LEAST_FREE", 1e30)
    with pytest.raises(RunError, match="MB are free there"):
        store_of_run(run.folder, study, str(new))
    assert "there was no" not in caplog.text
    assert not new.parent.exists()


def test_a_location_outside_of_a_run_is_followed_only_if_it_is_repeated(run: Run, tmp_path: Path) -> None:
    study, elsewhere = run.study(), str(tmp_path / "elsewhere")
    assert store_of_run(run.folder, study, elsewhere).location == elsewhere
    with pytest.raises(RunError, match=f"first keeps its weights in {elsewhere}: repeat --artifacts"):
        store_of_run(run.folder, study)
    for storage in (run.storage, "sqlite:///study.db"):
        with pytest.raises(RunError, match=f"study first keeps its weights in {elsewhere}: repeat"):
            store_of_worker(study, storage)
    for joined in (
        store_of_worker(study, run.storage, elsewhere),
        store_of_worker(study, "postgresql://server/nars"),  # the command line names the server
    ):
        assert joined is not None
        assert joined.location == elsewhere
    assert not (run.folder / "artifacts").exists()


@pytest.mark.parametrize(
    ("location", "message"),
    [
        ("ftp://there", "--artifacts ftp://there: give a folder or s3://bucket/prefix"),
        ("s3://", "--artifacts s3://: give s3://bucket/prefix"),
        ("nowhere/at/all", "--artifacts nowhere/at/all: this machine has no such folder"),
    ],
)
def test_a_store_that_does_not_exist_is_one_line(location: str, message: str) -> None:
    with pytest.raises(UsageError, match=f"^{message}$"):
        open_store(location)


def test_a_bucket_without_its_package_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "boto3", None)
    with pytest.raises(UsageError, match=r"needs boto3: pip install 'nars\[s3\]'"):
        open_store(BUCKET)
