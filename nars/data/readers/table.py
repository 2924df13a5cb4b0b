"""A table of image files and their labels: CSV, or Parquet with the extra ``parquet``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import NamedTuple

from PIL import Image

from nars.data.contents import hashes
from nars.data.decoding import Reading, from_pictures
from nars.data.images import ImageData
from nars.data.pictures import SUFFIXES, Picture, read_rgb, with_remedy
from nars.data.readers.box_columns import box_columns
from nars.data.readers.columns import IMAGE, LABEL, SPLIT, Column, find, named, plain, read_columns
from nars.data.readers.of_boxes import REMEDY
from nars.errors import DataError, closest
from nars.foreign.files import Finder
from nars.foreign.names import split_of
from nars.foreign.paths import inside, is_file

__all__ = ["TABLES", "named_classes", "split_tables", "table"]

_AS_TABLE = "write a CSV with the columns path, label and split"

_LONGEST_NUMBER = 1000
"""Digits of a label that is taken for a number, whose length Python limits."""

TABLES = (".csv", ".parquet")
"""Suffixes of the files that are taken for tables."""


def table(file: Path, *, drop_bad: bool = False, whole: bool = False) -> ImageData:
    """Pictures by the rows of a table: a path, a label and, if there is a column ``split``, a split.

    Paths are relative to the folder of the table, or found in it by their last part. Labels are in a column,
    or in one column of 0 and 1 for each class. Without a split, all rows are for train; splits without a row
    are cut from train, unless the table is left `whole`. Raises `DataError` that names the column and the
    row, counted from 1 below the head.
    """
    rows = _rows(file, drop_bad=drop_bad)
    reading = Reading(f"table, {file.name}", whole=whole)
    return _data(file, rows, drop_bad=drop_bad, reading=reading)


def split_tables(root: Path, files: Mapping[str, Path], *, drop_bad: bool = False) -> ImageData:
    """Pictures by a table in the folder of each split, as Roboflow writes them. Raises `DataError`."""
    rows = [
        row._replace(split=split, name=f"{file.parent.name}/{row.name}")
        for split, file in files.items()
        for row in _rows(file, drop_bad=drop_bad)
    ]
    first = next(iter(files.values()))
    return _data(root, rows, drop_bad=drop_bad, reading=Reading(f"tables, {first.relative_to(root)}"))


class _Row(NamedTuple):
    """A row of a table: the picture's name and file, its label and its split."""

    name: str
    file: Path
    label: str
    split: str


def _rows(file: Path, *, drop_bad: bool) -> list[_Row]:
    columns = read_columns(file)
    if any(name.startswith("gs://") for name in columns):
        raise DataError(f"{file} is Vertex AI's CSV, whose images are in a bucket: {_AS_TABLE}")
    path = find(file, columns, IMAGE)
    label = _one_of(file, columns, path) or _other(columns, path) or find(file, columns, LABEL)
    splits_of = named(columns, SPLIT)
    names = [path.text(number) for number in range(len(path.values))]
    labels = [label.text(number) for number in range(len(path.values))]
    if box_columns(columns)[0] and (len(set(names)) < len(names) or len(set(labels)) < 2):
        raise DataError(f"{file} is a table of boxes, which are for detectors: {REMEDY}")
    files = _files(file.parent, names, path, drop_bad=drop_bad)
    return [
        _Row(name, found, labels[number], _split(splits_of, number))
        for number, (name, found) in enumerate(zip(names, files, strict=True))
    ]


def _data(file: Path, rows: Sequence[_Row], *, drop_bad: bool, reading: Reading) -> ImageData:
    classes = named_classes([row.label for row in rows])
    if len(classes) < (1 if reading.whole else 2):
        what = f"one class, {classes[0]!r}" if classes else "no rows"
        raise DataError(f"{file} has {what}; a classifier needs two or more classes")
    numbers = {title: number for number, title in enumerate(classes)}
    splits: dict[str, list[Picture]] = {"train": []}
    files = [row.file for row in rows]
    digests = hashes(files, file if file.is_dir() else file.parent)
    opens = {path: partial(_open, path) for path in set(files)}
    for row, digest in zip(rows, digests, strict=True):
        picture = Picture(row.name, numbers[row.label], opens[row.file], digest=digest)
        splits.setdefault(row.split, []).append(picture)
    if not splits["train"]:
        raise DataError(f"{file}, column split: no row is for train")
    content = [
        f"{split}/{picture.label}/{picture.name}:{picture.digest}"
        for split, pictures in splits.items()
        for picture in pictures
    ]
    return from_pictures(file.stem, classes, splits, content, drop_bad=drop_bad, reading=reading)


def _files(folder: Path, names: Sequence[str], column: Column, *, drop_bad: bool) -> list[Path]:
    """The file of each row; with `drop_bad`, one that is not there is left out when it is to be read.

    Raises `DataError` for a file that is not there, or outside of the data set.
    """
    finder = Finder(folder, SUFFIXES, names)
    found_of: dict[str, Path] = {}
    for number, name in enumerate(names):
        if name in found_of:
            continue
        file = folder / name
        if not is_file(file):
            found = finder.find(name)
            if found is None and not drop_bad:
                near = finder.near(name)
                hint = f"; {near}" if near else ""
                raise with_remedy(DataError(f"{column.place(number)}: there is no file {file}{hint}"))
            file = file if found is None else folder / found
        found_of[name] = inside(file, folder)
    return [found_of[name] for name in names]


def _other(columns: Mapping[str, Column], path: Column) -> Column | None:
    """The column beside that of the pictures, whatever it is called, if there are only two."""
    others = [column for column in columns.values() if column is not path]
    return others[0] if len(others) == 1 else None


def _one_of(file: Path, columns: Mapping[str, Column], path: Column) -> Column | None:
    """Labels made of a column for each class, as Roboflow writes them; None if there are no such columns.

    Raises `DataError` for a row with several classes or none.
    """
    if named(columns, LABEL) is not None:
        return None
    rest = [column for name, column in columns.items() if column is not path and plain(name) not in SPLIT]
    values = [[str(value).strip() for value in column.values] for column in rest]
    if len(rest) < 2 or any(value not in ("0", "1") for column in values for value in column):
        return None
    labels = []
    for number, row in enumerate(zip(*values, strict=True)):
        if row.count("1") != 1:
            raise DataError(
                f"{file}, row {number + 1} has {row.count('1')} classes; a classifier tells one of several"
            )
        labels.append(rest[row.index("1")].name)
    return Column(file, "class", labels)


def named_classes(labels: Sequence[str]) -> tuple[str, ...]:
    """The different labels in order: of their numbers if all are numbers, else of their letters.

    Equal numbers, such as 1 and 01, are in the order of their letters.
    """
    found = sorted(set(labels))
    are_numbers = all(label.isdecimal() and len(label) <= _LONGEST_NUMBER for label in found)
    return tuple(sorted(found, key=int) if are_numbers else found)


def _split(column: Column | None, number: int) -> str:
    """The split of a row, train if there is no column for it. Raises `DataError`."""
    if column is None:
        return "train"
    text = column.text(number)
    split = split_of(text)
    if split is None:
        raise DataError(
            f"{column.place(number)}: no split {text!r}: {closest(text, ('train', 'val', 'test'))}"
        )
    return split


def _open(path: Path, side: int) -> Image.Image:
    return read_rgb(path, side)
