"""Tables of pictures and labels, and what their mistakes say."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from itertools import permutations
from pathlib import Path
from typing import Any

import folders
import pandas as pd
import pytest
import torch
from PIL import Image

from nars.data import ImageData, load
from nars.data.readers.table import named_classes
from nars.errors import DataError

pytest.importorskip("pyarrow")

ROWS = [[f"photos/{number}.png", ("cat", "dog")[number % 2]] for number in range(20)]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Twenty pictures, each of a red level of its own."""
    (tmp_path / "photos").mkdir()
    for number in range(20):
        Image.new("RGB", (6, 6), (number, 0, 9)).save(tmp_path / "photos" / f"{number}.png")
    return tmp_path


def csv(folder: Path, rows: Sequence[Sequence[str]], head: str = "path,label", name: str = "t.csv") -> Path:
    text = "\n".join([head, *(",".join(row) for row in rows)])
    (folder / name).write_text(text, encoding="utf-8")
    return folder / name


def reds(data: ImageData) -> dict[str, list[int]]:
    return {name: data.split(name).sample()[:, 0, 0, 0].tolist() for name in ("train", "val", "test")}


def test_a_table_without_splits_is_cut(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data = load(csv(folder, ROWS))
    assert (data.name, data.classes) == ("t", ("cat", "dog"))
    assert [len(data.split(name)) for name in ("train", "val", "test")] == [12, 4, 4]
    found = reds(data)
    assert sorted([*found["train"], *found["val"], *found["test"]]) == list(range(20))
    for name, levels in found.items():
        assert data.split(name).labels.tolist() == [level % 2 for level in levels]
    monkeypatch.chdir(folder / "photos")  # paths are relative to the table, not to here
    assert reds(load(folder / "t.csv")) == found
    absolute = [[str(folder / path), label] for path, label in ROWS]
    assert reds(load(csv(folder, absolute, name="a.csv"))) == found


def test_splits_of_a_table(folder: Path) -> None:
    splits = ["train"] * 12 + ["Validation"] * 4 + ["test"] * 4
    rows = [[*row, split] for row, split in zip(ROWS, splits, strict=True)]
    data = load(csv(folder, rows, "File, Class, Split"))
    assert reds(data) == {
        "train": [*range(12)],
        "val": [*range(12, 16)],
        "test": [*range(16, 20)],
    }
    without_val = [row for row in rows if row[2] != "Validation"]
    assert len(load(csv(folder, without_val, "file,class,split")).val) == 2  # cut from twelve


def test_a_class_that_a_split_lacks_is_named(folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    there = {"train": "cat dog cow", "val": "cat dog", "test": "cat emu cow dog"}
    rows = [(split, label) for split, labels in there.items() for label in labels.split()]
    with caplog.at_level(logging.WARNING):
        data = load(csv(folder, [[ROWS[0][0], label, split] for split, label in rows], "path,label,split"))
    assert data.classes == ("cat", "cow", "dog", "emu")
    assert [record.message for record in caplog.records] == [
        "t: no images in train of 'emu'",
        "t: no images in val of 'cow', 'emu'",
    ]


@pytest.mark.parametrize("separator", [";", "\t"])
def test_a_table_of_a_spreadsheet(folder: Path, separator: str) -> None:
    lines = [separator.join(row) for row in [["image", "label"], *ROWS]]
    (folder / "t.csv").write_text("\r\n".join(lines) + "\r\n\r\n", encoding="utf-8-sig")
    assert load(folder / "t.csv").classes == ("cat", "dog")


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_lines_end_as_any_system_ends_them(end: str, folder: Path) -> None:
    lines = ["", *(",".join(row) for row in [["path", "label"], *ROWS])]
    (folder / "t.csv").write_text(end.join(lines), encoding="utf-8", newline="")
    assert reds(load(folder / "t.csv")) == reds(load(csv(folder, ROWS, name="u.csv")))


def test_parquet_is_the_same_table(folder: Path) -> None:
    table = pd.DataFrame(ROWS, columns=["path", "label"])
    table.to_parquet(folder / "t.parquet")
    data, other = load(folder / "t.parquet"), load(csv(folder, ROWS))
    assert data.fingerprint == other.fingerprint
    assert torch.equal(data.train.sample(), other.train.sample())
    table.assign(label=[3.0, 20.0] * 10).to_parquet(folder / "n.parquet")
    assert load(folder / "n.parquet").classes == ("3", "20")


def test_classes_in_order() -> None:
    assert named_classes(["10", "9", "9"]) == ("9", "10")
    assert named_classes(["b", "10", "9"]) == ("10", "9", "b")
    orders = {named_classes([*labels, "2"]) for labels in permutations(["1", "01", "001", "0001"])}
    assert orders == {("0001", "001", "01", "1", "2")}  # a set of texts has another order in each process
    assert named_classes(["2", "1" * 5000]) == ("1" * 5000, "2")


def test_fingerprint_sees_rows_and_content(folder: Path) -> None:
    before = load(csv(folder, ROWS)).fingerprint
    Image.new("RGB", (6, 6), (99, 0, 9)).save(folder / "photos" / "3.png")
    content = load(csv(folder, ROWS)).fingerprint
    rows = [*ROWS[:-1], [ROWS[-1][0], "cat"]]
    assert len({before, content, load(csv(folder, rows)).fingerprint}) == 3


@pytest.mark.parametrize(
    ("rows", "head", "message"),
    [
        (
            ROWS,
            "where,label",
            r"t.csv has no column path or file or filename or image; its columns: where, l",
        ),
        (
            [[*row, "x"] for row in ROWS],
            "path,kind,size",
            r"has no column label or class; its columns: path, kind, size",
        ),
        (
            [*ROWS, ["photos/x.png", "cat"]],
            "path,label",
            r"t.csv, row 21, column path: there is no file \S*x.png",
        ),
        ([*ROWS, ["photos/1.png"]], "path,label", r"row 21, column label: there is no value"),
        ([*ROWS, ["", "cat"]], "path,label", r"row 21, column path: there is no value"),
        ([*ROWS, ["photos/1.png", "cat", "x"]], "path,label", r"row 21 has 3 values for 2 columns"),
        ([[*row, "x"] for row in ROWS], "path,label,label", r"t.csv: two columns are called label"),
        (
            [[*row, "trian"] for row in ROWS],
            "path,label,split",
            r"row 1, column split: no split 'trian': did",
        ),
        ([[*row, "test"] for row in ROWS], "path,label,split", r"column split: no row is for train"),
        (ROWS[::2], "path,label", r"t.csv has one class, 'cat'; a classifier needs two"),
        ([], "path,label", r"t.csv has no rows"),
        ([], "", r"t.csv has no column path or .*; its columns: none"),
    ],
)
def test_mistakes(folder: Path, rows: list[list[str]], head: str, message: str) -> None:
    with pytest.raises(DataError, match=message) as error:
        load(csv(folder, rows, head))
    assert "\n" not in str(error.value)


def test_what_is_only_measured_may_be_of_one_class(folder: Path) -> None:
    assert load(csv(folder, ROWS[::2]), whole=True).classes == ("cat",)


def test_a_row_without_its_file_is_left_out_on_request(
    folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    rows = [*ROWS, ["photos/21.png", "cat"], ["../gone.png", "dog"]]
    with pytest.raises(DataError, match=r"no file \S*21.png; mend or remove it, or leave out .* --drop-bad$"):
        load(csv(folder, rows))  # no row means 1.png but its own
    data = load(csv(folder, rows), drop_bad=True)
    assert sum(len(levels) for levels in reds(data).values()) == 20
    assert "left out 2 images: cannot read image" in caplog.text
    assert "photos/21.png: No such file" in caplog.text
    assert data.fingerprint != load(csv(folder, ROWS)).fingerprint
    with pytest.raises(DataError, match="leads out of the data set"):
        load(csv(folder, [*ROWS, ["../../gone.png", "cat"]]), drop_bad=True)


@pytest.mark.parametrize(
    ("write", "message"),
    [
        (lambda path: path.with_suffix(".csv").write_bytes(b"path,label\n\xff\xfe,\x00"), "cannot read"),
        (lambda path: path.with_suffix(".csv").write_text('path,label\n"a,b'), "cannot read .*end of data"),
        (lambda path: path.with_suffix(".parquet").write_text("no table"), "cannot read .*t.parquet: "),
        (
            lambda path: pd.DataFrame({"image": [{"bytes": b"1"}] * 2, "label": [1, 2]}).to_parquet(
                path.with_suffix(".parquet")
            ),
            r"row 1, column image: expected text, got dict \(hf:FOLDER",
        ),
        (
            lambda path: pd.DataFrame({"image": ["a", "b"], "label": [1, None]}).to_parquet(
                path.with_suffix(".parquet")
            ),
            r"row 2, column label: there is no value",
        ),
    ],
)
def test_files_that_are_no_tables(tmp_path: Path, write: Callable[[Path], Any], message: str) -> None:
    write(tmp_path / "t")
    (file,) = tmp_path.iterdir()
    with pytest.raises(DataError, match=message) as error:
        load(file)
    assert "\n" not in str(error.value)


def test_a_bad_picture_of_a_table_is_named_or_left_out(folder: Path) -> None:
    (folder / "photos" / "3.png").write_text("no picture")
    with pytest.raises(DataError, match=r"cannot read image \S*3.png: not an image"):
        load(csv(folder, ROWS))
    assert len(load(csv(folder, ROWS), drop_bad=True).dropped) == 1


def test_a_path_that_leads_out_of_the_data_set_needs_to_be_allowed(
    tmp_path: Path, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    inner = tmp_path / "sets" / "mine"
    inner.mkdir(parents=True)
    rows = [[f"../../{name}", label] for name, label in ROWS]
    with pytest.raises(DataError, match=f"leads out of the data set.*--also-from {folder / 'photos'}"):
        load(csv(inner, rows))
    monkeypatch.setenv("NARS_ALSO_FROM", str(folder))
    assert len(load(csv(inner, rows)).train) == 12


def test_a_table_in_the_folder_of_each_split(tmp_path: Path) -> None:
    for at, (split, count) in enumerate((("train", 6), ("valid", 2), ("test", 2))):
        rows = ["filename, cat, dog"]
        for number in range(count):
            for name in ("cat", "dog"):
                folders.picture(tmp_path / split / f"{name}{number}.png", 20, 16, 100 * at + number)
                rows.append(f"{name}{number}.png,{int(name == 'cat')},{int(name == 'dog')}")
        (tmp_path / split / "_classes.csv").write_text("\n".join(rows) + "\n")
    data = load(tmp_path)
    assert data.classes == ("cat", "dog")
    assert [len(data.split(name)) for name in ("train", "val", "test")] == [12, 4, 4]
    assert data.parts[0].layout == "tables, train/_classes.csv"


HEADS = ["Image_ID\tClass Label\tData-Split", "imagePath\tClassName\tSET", "File Name\tlabel-name\tsubset"]


@pytest.mark.parametrize("head", HEADS)
def test_names_of_columns_may_be_written_otherwise(head: str, folder: Path) -> None:
    """A spreadsheet's text of UTF-16 with paths of Windows."""
    splits = ["Train"] * 12 + ["Valid"] * 4 + ["TEST"] * 4
    lines = [f"{path}\t{title}\t{split}" for (path, title), split in zip(ROWS, splits, strict=True)]
    text = "\r\n".join([head, *lines]).replace("/", "\\")
    (folder / "t.csv").write_bytes(f"\ufeff{text}\r\n".encode("utf-16-le"))
    (folder / "photos" / "._0.png").write_bytes(b"\0\5\x16\7")
    data = load(folder)
    assert reds(data) == {"train": [*range(12)], "val": [*range(12, 16)], "test": [*range(16, 20)]}
