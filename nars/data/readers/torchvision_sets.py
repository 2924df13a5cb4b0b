"""Data sets of torchvision as ``NAME:FOLDER``; a missing one is downloaded into FOLDER."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple
from urllib.error import URLError

from PIL import Image

from nars.data.decoding import Reading, from_pictures
from nars.data.images import ImageData
from nars.data.pictures import Picture, to_rgb
from nars.errors import DataError
from nars.foreign.pictures import DAMAGE, reason

__all__ = ["SETS", "torchvision_set"]

logger = logging.getLogger(__name__)


class _Set(NamedTuple):
    cls: str
    """Name of its class in `torchvision.datasets`."""
    splits: Mapping[str, Mapping[str, Any]]
    """Arguments of the class for each split that it has."""


_BY_FLAG = {"train": {"train": True}, "test": {"train": False}}
_BY_NAME = {"train": {"split": "train"}, "test": {"split": "test"}}
_BY_THREE = _BY_NAME | {"val": {"split": "val"}}
"""The usual arguments: a flag, or the name of one of two or of three splits."""

SETS: Mapping[str, _Set] = {
    "cifar10": _Set("CIFAR10", _BY_FLAG),
    "cifar100": _Set("CIFAR100", _BY_FLAG),
    "dtd": _Set("DTD", _BY_THREE),
    "fashion_mnist": _Set("FashionMNIST", _BY_FLAG),
    "fgvc_aircraft": _Set("FGVCAircraft", _BY_THREE),
    "flowers102": _Set("Flowers102", _BY_THREE),
    "food101": _Set("Food101", _BY_NAME),
    "gtsrb": _Set("GTSRB", _BY_NAME),
    "kmnist": _Set("KMNIST", _BY_FLAG),
    "mnist": _Set("MNIST", _BY_FLAG),
    "oxford_pets": _Set("OxfordIIITPet", {"train": {"split": "trainval"}, "test": {"split": "test"}}),
    "stl10": _Set("STL10", _BY_NAME),
    "svhn": _Set("SVHN", _BY_NAME),
}
"""The data sets by the name that users give."""


def torchvision_set(name: str, root: Path, *, drop_bad: bool = False) -> ImageData:
    """Images of torchvision's data set `name` below `root`. Raises `DataError`."""
    splits, content, classes = {}, [], set()
    names: list[str] | None = None
    for split, arguments in SETS[name].splits.items():
        dataset = _open_set(name, root, arguments)
        labels = _labels(dataset)
        names = getattr(dataset, "classes", names)
        classes |= set(labels)
        content.append(f"{name} {split} {labels}")
        place = (
            f"{root.resolve()} {root.stat().st_mtime_ns} {hashlib.sha256(content[-1].encode()).hexdigest()}"
        )
        splits[split] = [
            Picture(f"{split} image {number}", label, partial(_picture, dataset, number), f"{place} {number}")
            for number, label in enumerate(labels)
        ]
    numbered = [str(label) for label in range(max(classes) + 1)]
    class_names = names if names and len(names) >= len(numbered) else numbered
    reading = Reading(f"torchvision's {name}")
    titles = tuple(map(str, class_names))
    return from_pictures(name, titles, splits, content, drop_bad=drop_bad, reading=reading)


def _open_set(name: str, root: Path, arguments: Mapping[str, Any]) -> Any:
    """The data set, downloaded only if it is not there. Raises `DataError`."""
    from torchvision import datasets

    cls = getattr(datasets, SETS[name].cls)
    try:
        return cls(root=root, download=False, **arguments)
    except (RuntimeError, OSError):  # torchvision's words for "not there"
        logger.info("%s is not in %s: downloading", name, root)
    try:
        return cls(root=root, download=True, **arguments)
    except (RuntimeError, OSError, URLError) as error:
        why = " ".join(str(error).split())
        raise DataError(f"{name} is not in {root} and could not be downloaded: {why}") from None


def _labels(dataset: Any) -> list[int]:
    """The labels, found without decoding images under one of the names that torchvision uses."""
    for attribute in ("targets", "labels", "_labels"):
        labels = getattr(dataset, attribute, None)
        if labels is not None:
            return [int(label) for label in labels]
    samples = getattr(dataset, "_samples", None)
    if samples is not None:
        return [int(label) for _, label in samples]
    return [int(dataset[number][1]) for number in range(len(dataset))]


def _picture(dataset: Any, number: int, side: int) -> Image.Image:
    try:
        return to_rgb(dataset[number][0])
    except DAMAGE as error:
        raise DataError(f"cannot read image {number} of {type(dataset).__name__}: {reason(error)}") from None
