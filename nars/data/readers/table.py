"""A table of image files and their labels: CSV, or Parquet with the extra ``parquet``."""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

from PIL import Image

from nars.data.contents import hashes
from nars.data.decoding import from_pictures
from nars.data.images import ImageData
from nars.data.pictures import Picture, read_rgb
from nars.errors import DataError, closest

__all__ = ["SPLITS", "TABLES", "named_classes", "table"]

TABLES = (".csv", ".parquet")
"""Suffixes of the files that are taken for tables."""

SPLITS = {"train": "train", "val": "val", "valid": "val", "validation": "val", "test": "test"}
"""Names of splits in tables and data sets, and the split that each stands for."""

_PATH, _LABEL = ("path", "file", "filename", "image"), ("label", "class")
"""Names of the columns, in order of preference."""


class _Column(NamedTuple):
    """The values of one column, with their file and name for messages."""

    file: Path
    name: str
    values: Sequence[Any]

    def text(self, number: int) -> str:
        """The value of a row as text, a whole number without a fraction. Raises `DataError`."""
        value = self.values[number]
        if isinstance(value, Mapping | bytes | list):
            what = f"expected text, got {type(value).__name__} (hf:FOLDER takes images inside of tables)"
            raise DataError(f"{self.place(number)}: {what}")
        if isinstance(value, float) and value.is_integer():
            value = int(value)
        text = "" if value is None or value != value else str(value).strip()  # NaN differs from itself
        if not text:
            raise DataError(f"{self.place(number)}: there is no value")
        return text

    def place(self, number: int) -> str:
        return f"{self.file}, row {number + 1}, column {self.name}"


def table(file: Path, *, drop_bad: bool = False) -> ImageData:
    """Pictures by the rows of a table: a path, a label and, if there is a column ``split``, a split.

    Paths are relative to the folder of the table. Without such a column, all rows are for train; splits
    without a row are cut from train. Raises `DataError` that names the column and the row, counted from 1
    below the head.
    """
    columns = _read(file)
    path, label = _find(file, columns, _PATH), _find(file, columns, _LABEL)
    names = [path.text(number) for number in range(len(path.values))]
    labels = [label.text(number) for number in range(len(path.values))]
    classes = named_classes(labels)
    if len(classes) < 2:
        what = f"one class, {classes[0]!r}" if classes else "no rows"
        raise DataError(f"{file} has {what}; a classifier needs two or more classes")
    files = [file.parent / name for name in names]
    for number, image in enumerate(files):
        if not image.is_file():
            raise DataError(f"{path.place(number)}: there is no file {image}")
    numbers = {title: number for number, title in enumerate(classes)}
    splits: dict[str, list[Picture]] = {"train": []}
    for number, digest in enumerate(hashes(files, file.parent)):
        picture = Picture(
            names[number], numbers[labels[number]], partial(_open, files[number]), digest=digest
        )
        splits.setdefault(_split(columns, number), []).append(picture)
    if not splits["train"]:
        raise DataError(f"{file}, column split: no row is for train")
    content = [
        f"{split}/{picture.label}/{picture.name}:{picture.digest}"
        for split, pictures in splits.items()
        for picture in pictures
    ]
    return from_pictures(file.stem, classes, splits, content, drop_bad=drop_bad)


def named_classes(labels: Sequence[str]) -> tuple[str, ...]:
    """The different labels in order: of their numbers if all are numbers, else of their letters."""
    found = set(labels)
    return tuple(sorted(found, key=int) if all(label.isdecimal() for label in found) else sorted(found))


def _read(file: Path) -> dict[str, _Column]:
    """The columns of a table by their names in small letters. Raises `DataError`."""
    try:
        content = _csv(file) if file.suffix.lower() == ".csv" else _parquet(file)
    except ImportError:
        raise DataError(f"{file} needs pyarrow (pip install 'nars[parquet]'), or write it as CSV") from None
    except (OSError, ValueError, csv.Error) as error:  # pyarrow's errors are ValueErrors
        raise DataError(f"cannot read {file}: {' '.join(str(error).split())}") from None
    return {name.strip().lower(): _Column(file, name.strip(), values) for name, values in content.items()}


def _csv(file: Path) -> dict[str, list[Any]]:
    """The columns of a file whose values are separated by commas, semicolons or tabs."""
    with file.open(encoding="utf-8-sig", newline="") as stream:  # spreadsheets write a byte order mark
        head = stream.readline()
        stream.seek(0)
        rows = csv.reader(stream, delimiter=max(",;\t", key=head.count), strict=True)
        names = next(rows, [])
        repeated = next((name for name in names if name.strip() and names.count(name) > 1), None)
        if repeated is not None:
            raise ValueError(f"two columns are called {repeated}")
        columns: dict[str, list[Any]] = {name: [] for name in names}
        for number, row in enumerate((row for row in rows if row), start=1):
            if len(row) > len(names):
                raise ValueError(f"row {number} has {len(row)} values for {len(names)} columns")
            for name, value in zip(names, [*row, *[""] * (len(names) - len(row))], strict=True):
                columns[name].append(value)
    return columns


def _parquet(file: Path) -> dict[str, list[Any]]:
    from pyarrow import parquet

    return {str(name): values for name, values in parquet.read_table(file).to_pydict().items()}


def _find(file: Path, columns: Mapping[str, _Column], names: Sequence[str]) -> _Column:
    """The first of the columns with these names. Raises `DataError`."""
    for name in names:
        if name in columns:
            return columns[name]
    there = ", ".join(column.name for column in columns.values()) or "none"
    raise DataError(f"{file} has no column {' or '.join(names)}; its columns: {there}")


def _split(columns: Mapping[str, _Column], number: int) -> str:
    """The split of a row, train if there is no column for it. Raises `DataError`."""
    if "split" not in columns:
        return "train"
    text = columns["split"].text(number).lower()
    if text not in SPLITS:
        raise DataError(f"{columns['split'].place(number)}: no split {text!r}: {closest(text, SPLITS)}")
    return SPLITS[text]


def _open(path: Path, side: int) -> Image.Image:
    return read_rgb(path, side)
