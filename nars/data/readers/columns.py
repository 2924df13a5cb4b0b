"""Columns of a table by their names, however these are spelt: CSV, or Parquet with the extra ``parquet``."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator, Mapping, Sequence
from itertools import chain, repeat
from pathlib import Path
from typing import Any, NamedTuple

from nars.data.readers.parquet import parquet_columns
from nars.errors import DataError
from nars.foreign.paths import is_file
from nars.foreign.text import read_text

__all__ = [
    "IMAGE",
    "LABEL",
    "SPLIT",
    "Column",
    "find",
    "head_of",
    "named",
    "names_pictures",
    "plain",
    "read_columns",
]

IMAGE = ("path", "file", "filename", "image", "filepath", "imagepath", "imagename", "img", "imageid", "id")
LABEL = (
    *("label", "class", "labels", "category", "classname", "labelname", "classlabel", "classid", "target"),
    "choice",
)
SPLIT = ("split", "set", "subset", "partition", "datasplit")
"""Names of the columns as `plain` makes them, in order of preference; a message names the first ones."""


class Column(NamedTuple):
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
        """The file, the row counted from 1 below the head, and the column, for messages."""
        return f"{self.file}, row {number + 1}, column {self.name}"


def read_columns(file: Path, names: Sequence[str] | None = None) -> dict[str, Column]:
    """The columns of a table by their names in small letters; `names` are those of a CSV without a head.

    Raises `DataError`.
    """
    try:
        content = _csv(file, names) if file.suffix.lower() == ".csv" else parquet_columns(file)
    except ImportError:
        raise DataError(f"{file} needs pyarrow (pip install 'nars[parquet]'), or write it as CSV") from None
    except (OSError, ValueError, csv.Error) as error:  # pyarrow's errors are ValueErrors
        raise DataError(f"cannot read {file}: {' '.join(str(error).split())}") from None
    return {name.strip().lower(): Column(file, name.strip(), values) for name, values in content.items()}


def head_of(file: Path) -> list[str]:
    """The values in the first line of a CSV."""
    return [name.strip(' "') for name in re.split(r"[,;\t]", _first_line(read_text(file)))]


def names_pictures(file: Path) -> bool:
    """Whether a CSV begins with a picture, or with columns of pictures and classes; True of other tables."""
    if file.suffix.lower() != ".csv":
        return True
    head = head_of(file)
    names = set(map(plain, head))
    has_classes = len(head) > 2 or not names.isdisjoint(LABEL)
    return (has_classes and not names.isdisjoint(IMAGE)) or is_file(file.parent / head[0])


def _csv(file: Path, given: Sequence[str] | None) -> dict[str, list[Any]]:
    """The columns of a file whose values are separated by commas, semicolons or tabs.

    Without a head, whose place then has a file that is there, they are called path, label and split, unless
    other names are `given`.
    """
    text = read_text(file)
    head = _first_line(text)
    rows = csv.reader(io.StringIO(text, newline=None), delimiter=max(",;\t", key=head.count), strict=True)
    lines: Iterator[list[str]] = filter(None, rows)
    names = list(given) if given is not None else next(lines, [])
    if given is None and 2 <= len(names) <= 3 and is_file(file.parent / names[0].strip()):
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


def _first_line(text: str) -> str:
    r"""The first line of a table that is not empty; lines end in ``\n``, ``\r\n`` or ``\r``."""
    return re.split(r"[\r\n]", text.lstrip("\r\n"), maxsplit=1)[0]


def find(file: Path, columns: Mapping[str, Column], names: Sequence[str]) -> Column:
    """The first of the columns with these names. Raises `DataError`."""
    column = named(columns, names)
    if column is not None:
        return column
    there = ", ".join(column.name for column in columns.values()) or "none"
    raise DataError(
        f"{file} has no column {' or '.join(names[: 4 if names is IMAGE else 2])}; its columns: {there}"
    )


def named(columns: Mapping[str, Column], names: Sequence[str]) -> Column | None:
    """The first of the columns with these names, however they are written."""
    found = {plain(name): column for name, column in reversed(list(columns.items()))}
    return next((found[name] for name in names if name in found), None)


def plain(name: str) -> str:
    """The name of a column without what tools write differently: ``Class Label``, ``class_label``."""
    return re.sub(r"[\W_]+", "", name).lower()
