"""A table of image files and their labels: CSV, or Parquet with the extra ``parquet``."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from itertools import chain, repeat
from pathlib import Path
from typing import Any, NamedTuple

from PIL import Image

from nars.data.contents import hashes
from nars.data.decoding import Reading, from_pictures
from nars.data.images import ImageData
from nars.data.pictures import SUFFIXES, Picture, read_rgb
from nars.data.readers.parquet import parquet_columns
from nars.errors import DataError, closest
from nars.foreign.files import Finder
from nars.foreign.names import split_of
from nars.foreign.paths import inside, is_file
from nars.foreign.text import read_text

__all__ = ["TABLES", "named_classes", "names_pictures", "split_tables", "table"]

TABLES = (".csv", ".parquet")
"""Suffixes of the files that are taken for tables."""

_PATH = ("path", "file", "filename", "image", "filepath", "imagepath", "imagename", "img", "imageid", "id")
_LABEL = (
    *("label", "class", "labels", "category", "classname", "labelname", "classlabel", "classid", "target"),
    "choice",
)
_SPLIT = ("split", "set", "subset", "partition", "datasplit")
"""Names of the columns as `_plain` makes them, in order of preference; a message names the first ones."""


class _Column(NamedTuple):
    """The values of one column, with their file and name for messages."""

    file: Path
    name: str
    values: Sequence[Any]

    def text(self, number: int) -> str:
        """The value of a row as text, a whole number without a fraction. Raises `DataError`."""
        value = self.values[number]
        if isinstance(value, str) and (text := value.strip()):
            return text
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


def table(file: Path, *, drop_bad: bool = False, whole: bool = False) -> ImageData:
    """Pictures by the rows of a table: a path, a label and, if there is a column ``split``, a split.

    Paths are relative to the folder of the table, or found in it by their last part. Labels are in a column,
    or in one column of 0 and 1 for each class. Without a split, all rows are for train; splits without a row
    are cut from train, unless the table is left `whole`. Raises `DataError` that names the column and the
    row, counted from 1 below the head.
    """
    rows = _rows(file)
    reading = Reading(f"table, {file.name}", whole=whole)
    return _data(file, rows, drop_bad=drop_bad, reading=reading)


def split_tables(root: Path, files: Mapping[str, Path], *, drop_bad: bool = False) -> ImageData:
    """Pictures by a table in the folder of each split, as Roboflow writes them. Raises `DataError`."""
    rows = [
        row._replace(split=split, name=f"{file.parent.name}/{row.name}")
        for split, file in files.items()
        for row in _rows(file)
    ]
    first = next(iter(files.values()))
    return _data(root, rows, drop_bad=drop_bad, reading=Reading(f"tables, {first.relative_to(root)}"))


def names_pictures(file: Path) -> bool:
    """Whether a CSV begins with a picture, or with columns of pictures and classes; True of other tables."""
    if file.suffix.lower() != ".csv":
        return True
    head = re.split(r"[,;\t]", read_text(file).partition("\n")[0])
    names = [name.strip(' "\r') for name in head]
    plain = [_plain(name) for name in names]
    has_classes = len(plain) > 2 or not set(plain).isdisjoint(_LABEL)
    return (has_classes and not set(plain).isdisjoint(_PATH)) or is_file(file.parent / names[0])


class _Row(NamedTuple):
    """A row of a table: the picture's name and file, its label and its split."""

    name: str
    file: Path
    label: str
    split: str


def _rows(file: Path) -> list[_Row]:
    columns = _read(file)
    path = _find(file, columns, _PATH)
    label = _one_of(file, columns, path) or _find(file, columns, _LABEL)
    splits_of = _named(columns, _SPLIT)
    names = [path.text(number) for number in range(len(path.values))]
    labels = [label.text(number) for number in range(len(path.values))]
    files = _files(file.parent, names, path)
    return [
        _Row(name, found, labels[number], _split(splits_of, number))
        for number, (name, found) in enumerate(zip(names, files, strict=True))
    ]


def _data(file: Path, rows: Sequence[_Row], *, drop_bad: bool, reading: Reading) -> ImageData:
    classes = named_classes([row.label for row in rows])
    if len(classes) < 2:
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


def _files(folder: Path, names: Sequence[str], column: _Column) -> list[Path]:
    """The file of each row. Raises `DataError` for one that is not there, or outside of the data set."""
    finder = Finder(folder, SUFFIXES)
    found_of: dict[str, Path] = {}
    for number, name in enumerate(names):
        if name in found_of:
            continue
        file = folder / name
        if not is_file(file):
            found = finder.find(name)
            if found is None:
                near = finder.near(name)
                hint = f"; {near}" if near else ""
                raise DataError(f"{column.place(number)}: there is no file {file}{hint}")
            file = folder / found
        found_of[name] = inside(file, folder)
    return [found_of[name] for name in names]


def _one_of(file: Path, columns: Mapping[str, _Column], path: _Column) -> _Column | None:
    """Labels made of a column for each class, as Roboflow writes them; None if there are no such columns.

    Raises `DataError` for a row with several classes or none.
    """
    if _named(columns, _LABEL) is not None:
        return None
    rest = [column for name, column in columns.items() if column is not path and _plain(name) not in _SPLIT]
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
    return _Column(file, "class", labels)


def named_classes(labels: Sequence[str]) -> tuple[str, ...]:
    """The different labels in order: of their numbers if all are numbers, else of their letters."""
    found = set(labels)
    return tuple(sorted(found, key=int) if all(label.isdecimal() for label in found) else sorted(found))


def _read(file: Path) -> dict[str, _Column]:
    """The columns of a table by their names in small letters. Raises `DataError`."""
    try:
        content = _csv(file) if file.suffix.lower() == ".csv" else parquet_columns(file)
    except ImportError:
        raise DataError(f"{file} needs pyarrow (pip install 'nars[parquet]'), or write it as CSV") from None
    except (OSError, ValueError, csv.Error) as error:  # pyarrow's errors are ValueErrors
        raise DataError(f"cannot read {file}: {' '.join(str(error).split())}") from None
    return {name.strip().lower(): _Column(file, name.strip(), values) for name, values in content.items()}


def _csv(file: Path) -> dict[str, list[Any]]:
    """The columns of a file whose values are separated by commas, semicolons or tabs.

    Without a head, whose place then has a file that is there, they are called path, label and split.
    """
    text = read_text(file)
    head = text.partition("\n")[0]
    rows = csv.reader(io.StringIO(text), delimiter=max(",;\t", key=head.count), strict=True)
    names = next(rows, [])
    lines: Iterable[list[str]] = filter(None, rows)
    if 2 <= len(names) <= 3 and is_file(file.parent / names[0].strip()):
        lines = chain([names], lines)
        names = ["path", "label", "split"][: len(names)]
    repeated = next((name for name in names if name.strip() and names.count(name) > 1), None)
    if repeated is not None:
        raise ValueError(f"two columns are called {repeated}")
    columns: dict[str, list[Any]] = {name: [] for name in names}
    adds = [columns[name].append for name in names]
    for number, row in enumerate(lines, start=1):
        if len(row) > len(names):
            raise ValueError(f"row {number} has {len(row)} values for {len(names)} columns")
        for add, value in zip(adds, chain(row, repeat("")), strict=False):
            add(value)
    return columns


def _find(file: Path, columns: Mapping[str, _Column], names: Sequence[str]) -> _Column:
    """The first of the columns with these names. Raises `DataError`."""
    column = _named(columns, names)
    if column is not None:
        return column
    there = ", ".join(column.name for column in columns.values()) or "none"
    raise DataError(
        f"{file} has no column {' or '.join(names[: 4 if names is _PATH else 2])}; its columns: {there}"
    )


def _named(columns: Mapping[str, _Column], names: Sequence[str]) -> _Column | None:
    """The first of the columns with these names, however they are written."""
    plain = {_plain(name): column for name, column in reversed(list(columns.items()))}
    return next((plain[name] for name in names if name in plain), None)


def _plain(name: str) -> str:
    """The name of a column without what tools write differently: ``Class Label``, ``class_label``."""
    return re.sub(r"[\W_]+", "", name).lower()


def _split(column: _Column | None, number: int) -> str:
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
