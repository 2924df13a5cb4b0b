"""The files that a training leaves behind."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest

from nars.errors import RunError
from nars.training.folder import TrainingFolder
from nars.training.progress import Pace


def test_last_and_best_are_saved(tmp_path: Path) -> None:
    folder = TrainingFolder(tmp_path)
    with pytest.raises(RunError, match=r"best\.pt is missing; delete .*checkpoint\.pt to start anew"):
        folder.check_continued()
    rows = [{"epoch": 1, "loss": 2.5, "ap": None}, {"epoch": 2, "loss": 1.5, "ap": 0.25}]
    folder.write(rows[:1], True, lambda path: path.parent.mkdir(exist_ok=True) or path.touch())
    saved: list[str] = []
    folder.write(rows, False, lambda path: saved.append(path.name))
    folder.close()
    folder.check_continued()
    assert saved == ["last.pt"]
    assert sorted(path.name for path in (tmp_path / "weights").iterdir()) == ["best.pt", "last.pt"]
    read = list(csv.DictReader((tmp_path / "results.csv").read_text().splitlines()))
    assert read == [{"epoch": "1", "loss": "2.5", "ap": ""}, {"epoch": "2", "loss": "1.5", "ap": "0.25"}]


def test_without_a_folder_nothing_is_written() -> None:
    folder = TrainingFolder(None)
    folder.write([{"epoch": 1}], True, lambda path: pytest.fail(f"wrote {path}"))
    folder.check_continued()
    folder.close()


def test_the_pace_tells_the_time_left(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = [10.0]
    monkeypatch.setattr("nars.training.progress.time.perf_counter", lambda: clock[0])
    pace = Pace(epoch=1, epochs=3, steps=4, first=2)  # continues in the middle of the second epoch
    clock[0] = 12.0
    step = pace.after(2, 0.5)
    assert (step.epoch, step.epochs, step.step, step.steps, step.loss) == (2, 3, 3, 4, 0.5)
    assert step.seconds_left == 2.0 * (1 + 4)
