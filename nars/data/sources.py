"""Loads data by the name of their source."""

from __future__ import annotations

from pathlib import Path

from nars.data.arrays import digits, npz
from nars.data.images import ImageData
from nars.data.readers.folder import folder
from nars.data.readers.hub import hub
from nars.data.readers.table import TABLES, table
from nars.data.readers.torchvision_sets import SETS, torchvision_set
from nars.errors import DataError, closest

__all__ = ["load"]

_EMBEDDED = ("digits", "clothing")
"""Names of the data that come with nars."""

_CLOTHING = Path(__file__).parent / "clothing"
"""600 photos of clothes, which the README.md in this folder describes."""


def load(source: str | Path, *, drop_bad: bool = False) -> ImageData:
    """Data from a folder of class folders, an ``.npz``, ``.csv`` or ``.parquet`` file, or by a name.

    ``digits`` and ``clothing`` come with nars; a folder called clothing comes first. ``NAME:FOLDER`` is one
    of torchvision's data sets, such as cifar10; ``hf:NAME`` is one of Hugging Face's, or a folder that its
    package loads. A split that the source lacks is cut from its training images, always in the same way.
    A picture that cannot be read is an error or, with `drop_bad`, left out and logged. Raises `DataError`.
    """
    name, _, root = str(source).partition(":")
    path = Path(source)
    if source == "digits":
        return digits()
    if source == "clothing" and not path.exists():
        return folder(_CLOTHING)
    if name in SETS and not path.exists():
        if not root:
            raise DataError(f"{name} needs the folder it is in, or goes to: {name}:FOLDER")
        return torchvision_set(name, Path(root), drop_bad=drop_bad)
    if name == "hf" and root and not path.exists():
        return hub(root, drop_bad=drop_bad)
    if path.is_dir():
        return folder(path, drop_bad=drop_bad)
    if path.suffix == ".npz":
        return npz(path)
    if path.suffix.lower() in TABLES and path.exists():
        return table(path, drop_bad=drop_bad)
    if path.exists():
        raise DataError(f"{path} is neither a folder nor an .npz, .csv or .parquet file")
    names = [*_EMBEDDED, *SETS, "hf:NAME"]
    raise DataError(f"no data {str(source)!r}: neither a folder, a file nor a name: {closest(name, names)}")
