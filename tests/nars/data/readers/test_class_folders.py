"""Which folders are splits and which are classes, and the lines about it."""

from __future__ import annotations

import unicodedata
from pathlib import Path

import pytest
from PIL import Image

from nars.data import load
from nars.data.images import ImageData
from nars.errors import DataError


def _fill(root: Path, *folders: str, count: int = 5) -> Path:
    for folder in folders:
        (root / folder).mkdir(parents=True, exist_ok=True)
        for number in range(count):
            shade = (37 * number + 11 * len(folder)) % 256
            Image.new("RGB", (8, 8), (shade, number, len(folder))).save(root / folder / f"{number}.png")
    return root


def _sizes(data: ImageData) -> list[int]:
    return [len(data.split(name)) for name in ("train", "val", "test")]


@pytest.mark.parametrize(
    "names", ["Train Val Test", "TRAINING Validation testing", "train2017 valid2017 test2017", "trn dev tst"]
)
def test_splits_of_any_spelling_are_no_classes(tmp_path: Path, names: str) -> None:
    data = load(_fill(tmp_path, *(f"{split}/{name}" for split in names.split() for name in ("a", "b"))))
    assert (data.classes, _sizes(data)) == (("a", "b"), [10, 10, 10])
    assert [part.name for part in data.parts] == ["train", "val", "test"]


def test_splits_inside_of_classes(tmp_path: Path) -> None:
    data = load(_fill(tmp_path, "a/train", "a/test", "b/Train", "b/Test"))
    assert (data.classes, _sizes(data)) == (("a", "b"), [8, 2, 10])
    assert "cut from train" in data.parts[1].line()


def test_a_folder_in_a_folder_is_entered_and_said(tmp_path: Path) -> None:
    data = load(_fill(tmp_path, "set/set/a", "set/set/b", "__MACOSX/set/a"))
    assert data.classes == ("a", "b")
    assert "in its only folder, set/set" in data.parts[0].line()


@pytest.mark.parametrize(
    ("folders", "words"),
    [
        ("train val", "is a split without class folders"),
        ("val/a val/b test/a test/b", "nothing to train on"),
        ("train/a train/b val/a valid/a", "both are val"),
        ("train/a train/b more/a", "unknown split folder"),
    ],
)
def test_splits_in_doubt_are_refused(tmp_path: Path, folders: str, words: str) -> None:
    with pytest.raises(DataError, match=words):
        load(_fill(tmp_path, *folders.split()))


def test_leftovers_and_other_files_are_counted(tmp_path: Path) -> None:
    _fill(tmp_path, "a", "b", "__MACOSX/a")
    (tmp_path / "a" / "._0.png").write_bytes(b"")
    (tmp_path / "b" / "notes.txt").write_text("")
    Image.new("RGB", (8, 8)).save(tmp_path / "loose.png")
    data = load(tmp_path)
    assert data.classes == ("a", "b")
    assert data.parts[0].passed == {
        "leftovers of a system": 1,
        ".txt": 1,
        "pictures beside the folders": 1,
    }


def test_a_class_is_the_same_however_its_accents_are_composed(tmp_path: Path) -> None:
    for split, form in (("train", "NFC"), ("val", "NFD")):  # the latter is a Mac's
        for name in ("caf\u00e9", "tea"):
            file = tmp_path / split / unicodedata.normalize(form, name) / "0.png"
            file.parent.mkdir(parents=True)
            Image.new("RGB", (6, 6), "red" if name == "tea" else "blue").save(file)
            Image.new("RGB", (6, 6), "lime").save(file.with_name("1.png"))
    data = load(tmp_path)
    assert data.classes == ("caf\u00e9", "tea")
    assert data.val.labels.tolist() == [0, 0, 1, 1]
    assert data.val.sample()[:, 0, 0, 0].tolist() == [0, 0, 255, 0]


def test_linked_folders_are_followed(tmp_path: Path) -> None:
    _fill(tmp_path / "store", "a", "b")
    (tmp_path / "set" / "b").mkdir(parents=True)
    (tmp_path / "set" / "a").symlink_to(tmp_path / "store" / "a")
    (tmp_path / "set" / "b" / "part").symlink_to(tmp_path / "store" / "b")
    assert sum(_sizes(load(tmp_path / "set"))) == 10


def test_measured_data_without_splits_stay_whole(tmp_path: Path) -> None:
    data = load(_fill(tmp_path, "a", "b"), whole=True)
    assert _sizes(data) == [10, 10, 10]
    assert [part.name for part in data.parts] == ["all"]
    _fill(tmp_path / "split", "train/a", "train/b", "test/a")
    assert _sizes(load(tmp_path / "split", whole=True)) == [8, 2, 5]


def test_a_folder_called_digits_is_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _fill(tmp_path / "digits", "a", "b")
    assert len(load("digits").classes) == 10
    monkeypatch.chdir(tmp_path)
    assert load("digits").classes == ("a", "b")


LISTS = {
    "labels.csv": "image_id;label;set\n0;x;Train\n1;y;training\n2;x;dev\n3;y;valid\n4;x;TEST\n",
    "list.csv": "images/0.png,x,train\nimages/1.png,y,train\n2.png,x,val\n3.png,y,val\n4.png,x,test\n",
    "_classes.csv": "filename, x, y,split\n0.png,1,0,train\n1.png,0,1,train\n2.png,1,0,val\n3.png,0,1,val\n"
    "4.png,1,0,test\n",
    "a.csv": "File_Name,Category,split\nC:\\x\\0.PNG,x,train\n1.png,y,train\n2.png,x,val\n3.png,y,val\n"
    "4.png,x,test\n",
}


@pytest.mark.parametrize("table", LISTS)
def test_a_list_in_a_folder_is_followed(tmp_path: Path, table: str) -> None:
    _fill(tmp_path, "images")
    (tmp_path / table).write_text(LISTS[table], encoding="utf-16")
    data = load(tmp_path)
    assert data.classes == ("x", "y")
    assert [data.split(name).labels.tolist() for name in ("train", "val", "test")] == [[0, 1], [0, 1], [0]]


def test_a_test_part_alone_is_measured_but_not_trained_on(tmp_path: Path) -> None:
    _fill(tmp_path, "test/bus", "test/car")
    with pytest.raises(DataError, match="nothing to train on"):
        load(tmp_path)
    (part,) = load(tmp_path, whole=True).parts
    assert (part.name, part.images, part.classes) == ("all", 10, ("bus", "car"))
    assert "test alone" in part.notes
