"""The files that a training leaves behind."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest

from nars.errors import RunError
from nars.training.folder import TrainingFolder
from nars.training.logs import Row
from nars.training.progress import Pace


def test_last_and_best_are_saved(tmp_path: Path) -> None:
    rows: list[Row]
    rows = [{"epoch": 1, "loss": 2.5, "ap": None}, {"epoch": 2, "loss": 1.5, "ap": 0.25}]
    saved: list[Path] = []
    with TrainingFolder.opened(tmp_path) as folder:
        folder.write(rows[:1], True, saved.append)
        folder.write(rows, False, saved.append)
    assert [path.relative_to(tmp_path).as_posix() for path in saved] == [
        "weights/last.pt",
        "weights/best.pt",
        "weights/last.pt",
    ]
    read = list(csv.DictReader((tmp_path / "results.csv").read_text().splitlines()))
    assert read == [{"epoch": "1", "loss": "2.5", "ap": ""}, {"epoch": "2", "loss": "1.5", "ap": "0.25"}]


def test_without_a_folder_nothing_is_written() -> None:
    with TrainingFolder.opened(None, continued=True) as folder:
        folder.write([{"epoch": 1}], True, lambda path: pytest.fail(f"wrote {path}"))


def test_a_training_is_not_continued_without_its_best_weights(tmp_path: Path) -> None:
    lost = pytest.raises(
        RunError, match=r"weights/best\.pt is missing; delete .*checkpoint\.pt to start anew"
    )
    with lost, TrainingFolder.opened(tmp_path, continued=True):
        pass


def test_two_trainings_do_not_write_to_one_folder(tmp_path: Path) -> None:
    taken = pytest.raises(
        RunError, match=r"another training writes to .*: let it end, or name another folder"
    )
    with TrainingFolder.opened(tmp_path), taken, TrainingFolder.opened(tmp_path):
        pass
    with TrainingFolder.opened(tmp_path):  # it is free again
        pass


def test_a_disk_without_locks_serves(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def lacking(*_: object, **__: object) -> None:
        raise NotImplementedError("FileSystem does not appear to support flock")

    monkeypatch.setattr("nars.training.folder.FileLock.acquire", lacking)
    with TrainingFolder.opened(tmp_path) as folder:
        folder.write([{"epoch": 1}], False, lambda path: None)
    assert (tmp_path / "results.csv").exists()


def test_a_folder_that_cannot_be_made_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with (
        pytest.raises(RunError, match=r"cannot write .*file/run"),
        TrainingFolder.opened(tmp_path / "file" / "run"),
    ):
        pass


def test_the_pace_tells_the_time_left(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = [10.0]
    monkeypatch.setattr("nars.training.progress.time.perf_counter", lambda: clock[0])
    pace = Pace(epoch=1, epochs=3, steps=4, first=2)  # continues in the middle of the second epoch
    clock[0] = 12.0
    step = pace.after(2, 0.5)
    assert (step.epoch, step.epochs, step.step, step.steps, step.loss) == (2, 3, 3, 4, 0.5)
    assert step.seconds_left == 2.0 * (1 + 4)
