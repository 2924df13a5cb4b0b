"""Files by names from another system, and lines about parts."""

from __future__ import annotations

import unicodedata
from pathlib import Path

import pytest

from nars.foreign.files import Finder, listing
from nars.foreign.names import is_leftover, parts_of, printable, split_of
from nars.foreign.parts import Part

SUFFIXES = {".jpg", ".png"}


def _tree(root: Path, *names: str) -> Path:
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(b"")
    return root


@pytest.mark.parametrize(
    ("name", "split"),
    [
        *[(name, "train") for name in ("train", "Train", "TRAINING", "train2017", "train_set", "Train-Data")],
        *[(name, "val") for name in ("val", "Valid", "validation", "VAL2017", "valid_images", "dev")],
        *[(name, "test") for name in ("test", "Testing", "test2007", "test-set", " tst ")],
        *[(name, None) for name in ("trainer", "valley", "tests", "box", "2017", "trains", "")],
    ],
)
def test_words_for_splits(name: str, split: str | None) -> None:
    assert split_of(name) == split


@pytest.mark.parametrize("name", ["._a.jpg", ".DS_Store", "__MACOSX", "Thumbs.db", "Desktop.ini", "@eaDir"])
def test_leftovers_of_systems(name: str) -> None:
    assert is_leftover(name)
    assert not is_leftover(f"a{name}")


@pytest.mark.parametrize(
    ("name", "parts"),
    [
        (r"C:\Users\me\images\a.jpg", "Users me images a.jpg"),
        (r".\images\a.jpg", "images a.jpg"),
        ("/home/me/a.jpg", "home me a.jpg"),
        ("../train/images/a b.jpg", "train images a b.jpg"),
        ("/data/local-files/?d=set%2Fa.jpg", "set a.jpg"),
        ("https://host.example/x/a%20b.jpg?size=1", "x a b.jpg"),
        ("file:///C:/x/a.jpg", "C: x a.jpg"),
        (r"\\server\share\a.jpg", "server share a.jpg"),
    ],
)
def test_paths_of_any_system(name: str, parts: str) -> None:
    assert " ".join(parts_of(name)) == parts


@pytest.mark.parametrize(
    "name",
    [
        r"C:\photos\images\A.JPG",
        "images/a.jpg",
        "data/images/a.jpg",
        "A.jpg",
        "s3://bucket/images/a.jpg",
        "/elsewhere/a.jpg",
    ],
)
def test_a_file_is_found_by_a_foreign_name(tmp_path: Path, name: str) -> None:
    finder = Finder(_tree(tmp_path, "images/a.jpg", "images/b.jpg", "other/._a.jpg"), SUFFIXES)
    assert finder.find(name) == Path("images/a.jpg")


def test_composed_letters_and_escapes(tmp_path: Path) -> None:
    finder = Finder(_tree(tmp_path, unicodedata.normalize("NFD", "é.jpg"), "a b.jpg"), SUFFIXES)
    assert finder.find(unicodedata.normalize("NFC", "É.JPG")) is not None
    assert finder.find("x/a%20b.jpg") == Path("a b.jpg")


def test_folders_decide_between_equal_names_and_doubt_finds_none(tmp_path: Path) -> None:
    finder = Finder(_tree(tmp_path, "train/a.jpg", "val/a.jpg", "val/A.jpg"), SUFFIXES)
    assert finder.find("C:/x/Train/a.jpg") == Path("train/a.jpg")
    assert finder.find("val/A.jpg") == Path("val/A.jpg")
    assert finder.find("a.jpg", below=("train",)) == Path("train/a.jpg")
    assert finder.find("a.jpg") is None
    assert "files are called so" in str(finder.near("a.jpg"))


def test_a_near_file_is_named(tmp_path: Path) -> None:
    finder = Finder(_tree(tmp_path, "images/img_0001.png"), SUFFIXES)
    assert finder.near("img_0001.jpg") == "there is images/img_0001.png"
    assert finder.near("img_001.png") == "there is images/img_0001.png"
    assert finder.near("img_0002.png") is None
    assert finder.near("other.jpg") is None


def test_a_file_that_another_name_means_is_not_near(tmp_path: Path) -> None:
    tree = _tree(tmp_path, "images/photo.png", "images/photos.png")
    named = ["images/photo.png", "images/phot.png"]
    assert Finder(tree, SUFFIXES, named).near("images/phot.png") == "there is images/photos.png"
    assert Finder(tree, SUFFIXES, [*named, "photos.png"]).near("images/phot.png") is None
    assert Finder(tree, SUFFIXES, ["photo.PNG"]).near("photo.jpg") == "there is images/photos.png"


def test_listing_follows_links_once_and_counts_the_rest(tmp_path: Path) -> None:
    store = _tree(tmp_path / "store", "b.jpg", "a.PNG", "notes.txt", "._b.jpg", "__MACOSX/x.jpg", "none")
    (tmp_path / "set").mkdir()
    (tmp_path / "set" / "part").symlink_to(store)
    (store / "circle").symlink_to(tmp_path / "set")
    found = listing(tmp_path / "set", SUFFIXES)
    assert [file.name for file in found.files] == ["a.PNG", "b.jpg"]
    assert found.passed == {".txt": 1, "no suffix": 1, "leftovers of a system": 2}


def test_the_line_of_a_part() -> None:
    part = Part("val", 1, ("a", "b\n"), "COCO, x.json", 2, ("cut from train",), {".txt": 1, "other": 2})
    assert part.line() == (
        "val: 1 image, 2 boxes, 2 classes (a, b\\n); COCO, x.json; cut from train; "
        "passed over: 2 other, 1 .txt"
    )
    many = Part("train", 2, tuple("abcdefgh"), "class folders").line()
    assert many == "train: 2 images, 8 classes (a, b, c, d, e, f and 2 more); class folders"


def test_names_are_printed_in_one_line() -> None:
    assert printable("a\x1b[31m\ud800猫") == "a\\x1b[31m\\ud800猫"


def test_heic_among_what_was_passed_over_is_advised_about() -> None:
    part = Part("train", 4, ("a", "b"), "class folders in x", passed={".heic": 2, ".txt": 3})
    assert part.line().endswith(
        "passed over: 3 .txt, 2 .heic (.heic pictures are not read: convert them to JPEG)"
    )
