"""Loads data by the name of their source."""

from __future__ import annotations

from pathlib import Path

from nars.data.arrays import digits, npz
from nars.data.images import ImageData
from nars.data.readers.columns import names_pictures
from nars.data.readers.folder import folder
from nars.data.readers.hub import hub
from nars.data.readers.of_boxes import boxes_in
from nars.data.readers.table import TABLES, split_tables, table
from nars.data.readers.torchvision_sets import SETS, torchvision_set
from nars.errors import DataError, closest
from nars.foreign.files import folders
from nars.foreign.names import check_alone, is_leftover, split_of

__all__ = ["load"]

_EMBEDDED = ("digits", "clothing")
"""Names of the data that come with nars."""

_CLOTHING = Path(__file__).parent / "clothing"
"""600 photos of clothes, which the README.md in this folder describes."""


def load(source: str | Path, *, drop_bad: bool = False, whole: bool = False) -> ImageData:
    """Data from a folder of class folders, an ``.npz``, ``.csv`` or ``.parquet`` file, or by a name.

    ``digits`` and ``clothing`` come with nars; a folder of that name comes first. ``NAME:FOLDER`` is one
    of torchvision's data sets, such as cifar10; ``hf:NAME`` is one of Hugging Face's, or a folder that its
    package loads. A split that the source lacks is cut from its training images, always in the same way.
    With `whole`, data without any split are left in one piece: each of the three is all of it.
    A picture that cannot be read is an error or, with `drop_bad`, left out and logged. Raises `DataError`.
    """
    name, _, root = str(source).partition(":")
    path = Path(source)
    if source == "digits" and not path.is_dir():
        return digits()
    if source == "clothing" and not path.exists():
        return folder(_CLOTHING)
    if name in SETS and not path.exists():
        if not root:
            raise DataError(f"{name} needs the folder it is in, or goes to: {name}:FOLDER")
        return torchvision_set(name, Path(root), drop_bad=drop_bad)
    if name == "hf" and root and not path.exists():
        return hub(root, drop_bad=drop_bad, whole=whole)
    if path.exists():
        return _at(path, drop_bad=drop_bad, whole=whole)
    if path.suffix.lower() == ".npz":
        return npz(path)
    names = [*_EMBEDDED, *SETS, "hf:NAME"]
    raise DataError(f"no data {str(source)!r}: neither a folder, a file nor a name: {closest(name, names)}")


def _at(path: Path, *, drop_bad: bool, whole: bool) -> ImageData:
    """Data from a folder or file that is there. Raises `DataError`."""
    listed = _table_in(path) if path.is_dir() else path
    if listed is not None and listed.suffix.lower() in TABLES:
        return table(listed, drop_bad=drop_bad, whole=whole)
    if path.is_dir():
        parts = _tables_by_split(path)
        if "train" in parts:
            return split_tables(path, parts, drop_bad=drop_bad)
        return folder(path, drop_bad=drop_bad, whole=whole)
    if path.suffix.lower() == ".npz":
        return npz(path, whole=whole)
    boxes = boxes_in(path)
    if boxes is not None:
        raise DataError(boxes)
    raise DataError(f"{path} is neither a folder nor an .npz, .csv or .parquet file")


def _tables_by_split(path: Path) -> dict[str, Path]:
    """The only table in the folder of each split, of a data set whose splits have no class folders."""
    parts: dict[str, Path] = {}
    for part in folders(path):
        if split := split_of(part.name):
            if split in parts and _table_in(parts[split]) is not None and _table_in(part) is not None:
                check_alone(split, part, parts)
            parts[split] = part
    tables = {split: _table_in(part) for split, part in parts.items() if not folders(part)}
    found = {split: tables[split] for split in ("train", "val", "test") if tables.get(split)}
    return (
        {split: file for split, file in found.items() if file is not None} if len(found) == len(parts) else {}
    )


def _table_in(path: Path) -> Path | None:
    """The only table of a folder that has at most one folder, for its pictures.

    One that has no column for pictures is only taken if there is no folder.
    """
    tables = [file for file in path.iterdir() if file.suffix.lower() in TABLES and not is_leftover(file.name)]
    inside = folders(path)
    if len(tables) != 1 or len(inside) > 1 or (inside and not names_pictures(tables[0])):
        return None
    return tables[0]
