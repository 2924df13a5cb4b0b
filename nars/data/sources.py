"""From the name of a data set to the data."""

from __future__ import annotations

from pathlib import Path

from nars.data.arrays import digits, npz
from nars.data.folder import folder
from nars.data.images import ImageData
from nars.data.torchvision_sets import SETS, torchvision_set
from nars.errors import DataError, closest

__all__ = ["load"]


def load(source: str | Path, *, drop_bad: bool = False) -> ImageData:
    """Data from ``digits``, a folder of class folders, a ``FILE.npz``, or ``NAME:FOLDER``.

    NAME is one of torchvision's data sets, such as cifar10. Splits that a source lacks are cut
    from its training images, always the same ones. Pictures that cannot be read are an error,
    or are left out and logged where `drop_bad`. Raises `DataError`.
    """
    name, _, where = str(source).partition(":")
    path = Path(source)
    if source == "digits":
        return digits()
    if name in SETS and not path.exists():
        if not where:
            raise DataError(f"{name} needs the folder it is in, or goes to: {name}:FOLDER")
        return torchvision_set(name, Path(where), drop_bad=drop_bad)
    if path.is_dir():
        return folder(path, drop_bad=drop_bad)
    if path.suffix == ".npz":
        return npz(path)
    if path.exists():
        raise DataError(f"{path} is neither a folder nor an .npz file")
    known = ["digits", *SETS]
    raise DataError(f"no data {str(source)!r}: neither a folder, a file nor a name: {closest(name, known)}")
