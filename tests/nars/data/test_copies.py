from __future__ import annotations

import shutil
from pathlib import Path

import folders
import pytest
from torch import Tensor

from nars.data import decoding, load
from nars.data.pictures import Picture
from nars.errors import DataError


def _photos(root: Path, *splits: str) -> Path:
    for at, split in enumerate(splits):
        for name in ("cat", "dog"):
            for number in range(6):
                seed = 100 * at + 10 * len(name + split) + number + (50 if name == "dog" else 0)
                folders.picture(root / split / name / f"{number}.png", 20, 20, seed)
    return root


def test_a_renamed_copy_in_another_split_is_said(tmp_path: Path) -> None:
    root = _photos(tmp_path, "train", "val", "test")
    assert [part.notes for part in load(root).parts] == [(), (), ()]
    shutil.copy(root / "train" / "cat" / "3.png", root / "test" / "dog" / "renamed.png")
    shutil.copy(root / "val" / "cat" / "1.png", root / "test" / "cat" / "again.png")
    assert [part.notes for part in load(root).parts] == [
        (),
        (),
        ("2 of its images are in another split, too: cat/again.png is cat/1.png in val",),
    ]


def test_copies_that_a_cut_tears_apart_are_said(tmp_path: Path) -> None:
    root = _photos(tmp_path, ".")
    for number in range(6):
        shutil.copy(root / "cat" / "0.png", root / "cat" / f"copy{number}.png")
    said = [note for part in load(root).parts[1:] for note in part.notes if "in another split" in note]
    assert len(said) == 1
    assert [part.notes for part in load(root, whole=True).parts] == [
        ("not divided, since it is only measured",)
    ]


def test_a_picture_that_a_table_names_often_is_decoded_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    read: list[str] = []
    original = decoding.read_square

    def counted(picture: Picture, side: int) -> Tensor | DataError:
        read.append(picture.name)
        return original(picture, side)

    monkeypatch.setattr(decoding, "read_square", counted)
    root = _photos(tmp_path, ".")
    (root / "cat" / "bad.png").write_bytes(b"no picture")
    names = [f"{name}/{number}.png" for name in ("cat", "dog") for number in range(6)]
    rows = [f"{name},{name[:3]},{split}" for split in ("train", "val", "test") for name in names]
    rows[4:4] = ["cat/bad.png,cat,train"] * 2
    rows[20:20] = ["cat/3.png,dog,train", "cat/3.png,cat,train", "dog/0.png,cat,train"]
    (root / "t.csv").write_text("\n".join(["path,label,split", *rows]))
    train = load(root / "t.csv", drop_bad=True).train
    assert sorted(read) == sorted([*names * 3, *["cat/bad.png"] * 3])  # once, and for a line about each row
    assert "left out 1 image" in caplog.text
    good = [row for row in rows if row.endswith("train") and "bad" not in row]
    assert train.labels.tolist() == [("cat", "dog").index(row.split(",")[1]) for row in good]
    pixels = train.sample()
    assert pixels[12].equal(pixels[3])
    assert pixels[13].equal(pixels[3])
    assert pixels[14].equal(pixels[6])
    assert not pixels[3].equal(pixels[6])
