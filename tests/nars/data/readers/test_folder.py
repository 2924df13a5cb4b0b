"""Folders of classes, with splits or without, and their fingerprints."""

from __future__ import annotations

import logging
import shutil
from pathlib import Path

import pytest
from folders import colour

from nars.data import load
from nars.errors import DataError

EARLIER = "f0cc8dd6b6edbb7977514dfe237ef0ce5ffc308b814f6fa88bb0963f5a756f91"
"""Fingerprint of twelve small pictures by version 0.1."""


def test_folder_is_cut_into_splits(folder: Path) -> None:
    data = load(folder)
    assert data.classes == ("cat", "dog")
    assert [len(data.split(name)) for name in ("train", "val", "test")] == [12, 4, 4]
    reds = [image[0, 0, 0].item() for name in ("train", "val", "test") for image in data.split(name).sample()]
    assert sorted(reds) == [*range(10), *range(100, 110)]  # nothing lost, nothing twice
    assert load(str(folder)).fingerprint == data.fingerprint


def test_folder_with_given_splits(folder: Path) -> None:
    root = folder.parent / "split"
    shutil.copytree(folder, root / "train")
    colour(root / "test" / "dog" / "x.png", 200)
    (root / ".hidden").mkdir()
    data = load(root)
    assert [len(data.split(name)) for name in ("train", "val", "test")] == [16, 4, 1]
    assert data.test.labels.tolist() == [1]


def test_a_class_may_be_called_train(folder: Path) -> None:
    (folder / "cat").rename(folder / "train")
    assert load(folder).classes == ("dog", "train")


def test_fingerprint_changes_with_the_pictures(folder: Path) -> None:
    before = load(folder).fingerprint
    colour(folder / "dog" / "new.png", 3)
    grown = load(folder).fingerprint
    (folder / "cat").rename(folder / "kat")
    assert len({before, grown, load(folder).fingerprint}) == 3


def test_fingerprint_sees_the_content_and_not_the_place(folder: Path, tmp_path: Path) -> None:
    before = load(folder)
    shutil.copytree(folder, tmp_path / "elsewhere")
    (folder / "cat" / "bad.png").write_text("bad")
    (tmp_path / "elsewhere" / "cat" / "bad.png").write_text("bad")
    here, there = (load(path, drop_bad=True) for path in (folder, tmp_path / "elsewhere"))
    assert here.fingerprint == there.fingerprint != before.fingerprint
    (folder / "cat" / "bad.png").unlink()
    file = folder / "cat" / "0.png"
    old = file.read_bytes()
    colour(file, 1)
    assert len(file.read_bytes()) == len(old)
    after = load(folder)
    assert after.fingerprint != before.fingerprint
    assert after.earlier_fingerprints == before.earlier_fingerprints  # names and sizes


def test_earlier_fingerprints_are_those_of_version_0_1(tmp_path: Path) -> None:
    """The expected digest was computed by version 0.1 for the same files."""
    for number in range(12):
        path = tmp_path / "set" / ("a", "b")[number % 2] / f"{number}.ppm"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"P6 2 2 255\n" + bytes([number] * 12))
    assert load(tmp_path / "set").earlier_fingerprints == (EARLIER,)


def test_a_class_of_one_image_is_named(folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    colour(folder / "fish" / "only.png", 7)
    colour(folder / "goat" / "a.png", 8)
    colour(folder / "goat" / "b.png", 9)
    with caplog.at_level(logging.WARNING):
        data = load(folder)
    assert [data.split(name).labels.tolist().count(2) for name in ("train", "val", "test")] == [1, 0, 0]
    assert [data.split(name).labels.tolist().count(3) for name in ("train", "val", "test")] == [1, 1, 0]
    assert [record.message for record in caplog.records] == [
        "set: too few images to be in every split: 'fish' (1), 'goat' (2); "
        "first comes train, then val, then test"
    ]


def test_bad_folders(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match=r"empty is empty: expected folders of images"):
        load(tmp_path / "empty")
    shutil.copytree(folder / "cat", tmp_path / "one" / "cat")
    with pytest.raises(DataError, match=r"has one class, 'cat'; a classifier needs two or more"):
        load(tmp_path / "one")
    assert load(tmp_path / "one", whole=True).classes == ("cat",)  # to be measured on
    shutil.copytree(folder, tmp_path / "split" / "train")
    shutil.copytree(folder, tmp_path / "split" / "vall")
    with pytest.raises(DataError, match=r"unknown split folder .*vall: did you mean 'val'"):
        load(tmp_path / "split")
    (tmp_path / "split" / "vall").rename(tmp_path / "split" / "val")
    (tmp_path / "split" / "val" / "dog").rename(tmp_path / "split" / "val" / "dogs")
    with pytest.raises(DataError, match=r"train has no class 'dogs': did you mean 'dog'"):
        load(tmp_path / "split")
    (folder / "fish").mkdir()
    (folder / "fish" / "note.txt").write_text("none yet")
    with pytest.raises(DataError, match=r"fish \(passed over: 1 .txt\): remove the folder, or put"):
        load(folder)
    (folder / "fish" / "IMG_1.HEIC").touch()
    with pytest.raises(DataError, match=r"1 .txt\): .heic pictures are not read: convert them to JPEG$"):
        load(folder)
    for file in (folder / "fish").iterdir():
        file.unlink()
    with pytest.raises(DataError, match=r"^no images in \S*fish: remove the folder, or put images there$"):
        load(folder)
