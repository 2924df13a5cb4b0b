"""Data from arrays: scikit-learn's digits and ``.npz`` files."""

from __future__ import annotations

import hashlib
import math
import os
import struct
import zipfile
import zlib
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from nars.data.copies import shared_images
from nars.data.decoding import CUT, UNDIVIDED
from nars.data.images import ImageData
from nars.data.pictures import Fit, detail, square
from nars.data.splits import MemorySplit, Split
from nars.data.splitting import cut
from nars.errors import DataError, closest
from nars.foreign.limits import MOST_CLASSES, check_inflated
from nars.foreign.parts import Part
from nars.foreign.paths import open_file

__all__ = ["digits", "from_arrays", "npz"]

_SPLITS = ("train", "val", "test")
"""Splits of every data set, in the order in which they count in a fingerprint."""

_DAMAGE = (
    *(ValueError, EOFError, zipfile.BadZipFile, zlib.error, NotImplementedError, RuntimeError, KeyError),
    *(TypeError, SyntaxError, OverflowError, RecursionError, IndexError, struct.error),
)
"""Exceptions that damaged archives and arrays raise; an archive with a password is a `RuntimeError`."""

_KEYS = tuple(f"{kind}_{split}" for split in _SPLITS for kind in "xy")
"""Keys of an ``.npz``; ``classes`` is another."""


def digits() -> ImageData:
    """The 1797 handwritten digits of 8x8 pixels that come with scikit-learn: real scans, ten classes.

    Source: E. Alpaydin, C. Kaynak, "Optical Recognition of Handwritten Digits", UCI, 1998.
    """
    from sklearn.datasets import load_digits

    bunch = load_digits()
    images = np.rint(bunch.images * (255 / 16)).astype(np.uint8)  # its grey levels are 0..16
    data = from_arrays("digits", {"x_train": images, "y_train": bunch.target}, map(str, range(10)))
    layout = "the digits that come with nars (a folder called digits would be taken)"
    return replace(data, parts=tuple(replace(part, layout=layout) for part in data.parts))


def npz(path: Path, *, whole: bool = False) -> ImageData:
    """An ``.npz`` with x_train, y_train and, if they are fixed, x_val, y_val, x_test, y_test, classes.

    x are uint8 [N, H, W] or [N, H, W, 3], y integers [N] that number the classes from 0. With `whole`, train
    alone is all of the data. Raises `DataError`.
    """
    try:
        with open_file(path) as stream, zipfile.ZipFile(stream) as archive:  # a lone array is no zip
            check_inflated(archive.infolist(), os.fstat(stream.fileno()).st_size)
            arrays = {
                entry.filename.removesuffix(".npy"): _array(archive, entry) for entry in archive.infolist()
            }
    except OSError as error:
        raise DataError(f"cannot read {path}: {error.strerror or error}") from None
    except MemoryError:
        raise DataError(f"cannot read {path}: there is not enough memory for it") from None
    except _DAMAGE as error:
        reason = " ".join(str(error).split())[:200] or type(error).__name__
        raise DataError(f"cannot read {path}: {reason}") from None
    for key in arrays:
        if key not in (*_KEYS, "classes"):
            raise DataError(f"{path}: unknown key {key!r}: {closest(key, (*_KEYS, 'classes'))}")
    classes = arrays.pop("classes", None)
    if classes is not None and classes.ndim != 1:
        raise DataError(f"{path}: classes have shape {classes.shape}; expected a list of names")
    try:
        return from_arrays(path.stem, arrays, None if classes is None else _names(classes), whole=whole)
    except DataError as error:
        raise DataError(f"{path}: {error}") from None


def _names(classes: NDArray[Any]) -> tuple[str, ...]:
    """The names of classes [K], which may be texts, UTF-8 in bytes, or numbers. Raises `DataError`."""
    try:
        names = tuple(np.char.decode(classes, "utf-8") if classes.dtype.kind == "S" else classes.tolist())
    except UnicodeDecodeError:
        raise DataError("classes has names that are not UTF-8") from None
    texts = tuple(map(str, names))
    repeated = next((name for name, count in Counter(texts).items() if count > 1), None)
    if repeated is not None:
        raise DataError(f"two classes are called {repeated!r}")
    return texts


def _array(archive: zipfile.ZipFile, entry: zipfile.ZipInfo) -> NDArray[Any]:
    """Read an array whose header promises no more than its file has. Raises one of `_DAMAGE`."""
    with archive.open(entry) as stream:
        version = np.lib.format.read_magic(stream)
        read = np.lib.format.read_array_header_1_0 if version[0] == 1 else np.lib.format.read_array_header_2_0
        shape, _, kind = read(stream)
        if kind.hasobject:
            raise ValueError(f"{entry.filename}: Object arrays cannot be loaded, since they could run code")
        if any(length < 0 for length in shape) or math.prod(shape) * kind.itemsize > entry.file_size:
            raise ValueError(f"{entry.filename} is cut short: its shape {shape} needs more than it has")
    with archive.open(entry) as stream:
        return np.lib.format.read_array(stream, allow_pickle=False)


def from_arrays(
    name: str, arrays: Mapping[str, NDArray[Any]], classes: Any = None, *, whole: bool = False
) -> ImageData:
    """Data from arrays with the keys of `npz`; if val or test is missing, it is cut from train.

    With `whole`, train alone stands for each of the three. Raises `DataError`.
    """
    splits = {split: _pair(arrays, split) for split in _SPLITS if split == "train" or _given(arrays, split)}
    labels = {split: y for split, (_, y) in splits.items()}
    names = tuple(classes) if classes is not None else _numbered(labels["train"])
    absent = [split for split in _SPLITS if split not in splits]
    whole = whole and len(absent) == 2
    for split, y in labels.items():
        _check_labels(split, y, names)
    if not whole and len(np.unique(labels["train"])) < 2:
        raise DataError("y_train has one class; a classifier needs two or more")
    origins = {split: [f"x_{split}[{number}]" for number in range(len(y))] for split, y in labels.items()}
    if absent and not whole:
        (x, y), places = splits["train"], origins["train"]
        for split, index in zip(("train", *absent), cut(y, len(absent)), strict=True):
            splits[split] = x[index], y[index]
            origins[split] = [places[number] for number in index]
            if not len(index):
                raise DataError(f"{len(y)} training images are too few to cut {split} from")
    digest = hashlib.sha256("\0".join(names).encode())
    built = {}
    for split in ("train",) if whole else _SPLITS:
        x, y = splits[split]
        digest.update(f"{x.shape}".encode() + np.ascontiguousarray(x).data + y.astype(np.int64).data)
        built[split] = _Squares(x, y)("crop")
    if whole:
        parts = [Part("all", len(built["train"]), names, "arrays", notes=(UNDIVIDED,))]
        built = dict.fromkeys(_SPLITS, built["train"])
    else:
        notes = {split: (CUT,) if split in absent else () for split in _SPLITS}
        known = {split: _digests(x, origins[split]) for split, (x, _) in splits.items()}
        for split, note in shared_images(known).items():
            notes[split] = (*notes[split], note)
        parts = [Part(split, len(built[split]), names, "arrays", notes=notes[split]) for split in _SPLITS]
    data = ImageData(name, names, built["train"], built["val"], built["test"], digest.hexdigest())
    return replace(data, parts=tuple(parts))


def _digests(images: NDArray[np.uint8], names: Sequence[str]) -> list[tuple[str, str]]:
    """The name and the digest of the pixels of each image."""
    digests = (hashlib.blake2b(image.tobytes(), digest_size=16).hexdigest() for image in images)
    return list(zip(names, digests, strict=True))


def _given(arrays: Mapping[str, NDArray[Any]], split: str) -> bool:
    return any(f"{kind}_{split}" in arrays for kind in "xy")


def _pair(arrays: Mapping[str, NDArray[Any]], split: str) -> tuple[NDArray[Any], NDArray[Any]]:
    """The checked images and labels of one split."""
    for key in (f"x_{split}", f"y_{split}"):
        if key not in arrays:
            raise DataError(f"key {key!r} is missing; there are: {', '.join(arrays) or 'none'}")
    x, y = arrays[f"x_{split}"], arrays[f"y_{split}"]
    if x.dtype != np.uint8:
        raise DataError(f"x_{split} is {x.dtype}; images must be uint8")
    if not (x.ndim == 3 or (x.ndim == 4 and x.shape[-1] in (1, 3))) or 0 in x.shape[1:]:
        raise DataError(f"x_{split} has shape {x.shape}; images must be N,H,W or N,H,W,3")
    if not np.issubdtype(y.dtype, np.integer):
        raise DataError(f"y_{split} is {y.dtype}; labels must be integers")
    if y.shape != x.shape[:1]:
        raise DataError(f"y_{split} has shape {y.shape}; x_{split} has {len(x)} images")
    if not len(y):
        raise DataError(f"x_{split} has no images")
    return x, y


def _numbered(labels: NDArray[Any]) -> tuple[str, ...]:
    most = int(labels.max())
    if most >= MOST_CLASSES:
        raise DataError(f"y_train has label {most}; there are at most {MOST_CLASSES} classes")
    return tuple(map(str, range(most + 1)))


def _check_labels(split: str, labels: NDArray[Any], names: Sequence[str]) -> None:
    wrong = np.flatnonzero((labels < 0) | (labels >= len(names)))
    if len(wrong):
        first = f"label {labels[wrong[0]]} (image {wrong[0]})"
        raise DataError(f"y_{split} has {first}; labels of {len(names)} classes are 0..{len(names) - 1}")


class _Squares:
    """Images [N, H, W] or [N, H, W, 3] of one split as squares; each kind is made when it is asked for."""

    def __init__(self, images: NDArray[np.uint8], labels: NDArray[Any]) -> None:
        self._images = images
        self._labels = torch.from_numpy(labels.astype(np.int64))
        self._made: dict[Fit, Split] = {}

    def __call__(self, fit: Fit) -> Split:
        height, width = self._images.shape[1:3]
        if fit not in self._made:
            pixels = _centres(self._images) if fit == "crop" else _wholes(self._images, fit)
            self._made[fit] = MemorySplit(pixels, self._labels)
            self._made[fit].refit = self if height != width else None
        return self._made[fit]


def _centres(images: NDArray[np.uint8]) -> Tensor:
    """The centre squares of images, as [N, C, S, S]."""
    height, width = images.shape[1:3]
    side = min(height, width)
    top, left = (height - side) // 2, (width - side) // 2
    centres = torch.from_numpy(np.ascontiguousarray(images[:, top : top + side, left : left + side]))
    return centres.unsqueeze(1) if centres.ndim == 3 else centres.permute(0, 3, 1, 2).contiguous()


def _wholes(images: NDArray[np.uint8], fit: Fit) -> Tensor:
    """Whole images as squares [N, C, S, S] with the side of the longer one."""
    height, width = images.shape[1:3]
    pictures = (Image.fromarray(image).convert("RGB") for image in images)
    squares = torch.stack([square(picture, detail((width, height), fit), fit) for picture in pictures])
    return squares[:, :1].clone() if images.ndim == 3 else squares
