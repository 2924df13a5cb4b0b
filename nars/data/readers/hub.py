"""Data sets of Hugging Face as ``hf:NAME``, with the extra ``hf``: a name of its hub, or a folder."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from PIL import Image

from nars.data.decoding import Reading, from_pictures
from nars.data.images import ImageData
from nars.data.pictures import Picture, shown
from nars.data.readers.table import named_classes
from nars.errors import DataError
from nars.foreign.names import split_of
from nars.foreign.paths import inside, read_bytes
from nars.foreign.pictures import DAMAGE, open_picture, reason

__all__ = ["hub"]

_LABELS = ("label", "labels", "class", "fine_label")
"""Names of a column of labels, if none has the type of classes."""


def hub(name: str, *, drop_bad: bool = False, whole: bool = False) -> ImageData:
    """The data set `name`: of the hub, saved by ``save_to_disk``, or a folder that the package can load.

    Images are the first column of that type, labels the first of classes. A split whose labels are withheld
    is left out, and one split alone is left `whole`. No code of the data set runs. Raises `DataError`.
    """
    loaded = _load(name)
    found = {split: rows for title, rows in loaded.items() if (split := split_of(title)) is not None}
    if "train" not in found:
        raise DataError(f"hf:{name} has no split train")
    features = found["train"].features
    image = _column(name, features, "Image", ())
    label = _column(name, features, "ClassLabel", _LABELS)
    classes, labels = _labels(name, found, label)
    if len(classes) < 2 and not whole:
        raise DataError(f"hf:{name} has one class; a classifier needs two or more")
    splits, content = {}, []
    for split, numbers in labels.items():
        there = found[split].features
        if image not in there:
            raise DataError(f"hf:{name}, {split} has no column {image}; its columns: {', '.join(there)}")
        splits[split] = _pictures(split, found[split], image, numbers, Path(name))
        content += [f"{split}/{picture.label}/{picture.name}:{picture.digest}" for picture in splits[split]]
    reading = Reading(f"data set of Hugging Face, {name}", whole=whole)
    title = name.rstrip("/").rpartition("/")[2]
    return from_pictures(title, classes, splits, content, drop_bad=drop_bad, reading=reading)


def _labels(name: str, found: Mapping[str, Any], column: str) -> tuple[tuple[str, ...], dict[str, list[int]]]:
    """The classes, and the labels of each split that has them. Raises `DataError`.

    Each split may number its classes in an order of its own.
    """
    values: dict[str, list[Any]] = {}
    names = {split: getattr(rows.features.get(column), "names", None) for split, rows in found.items()}
    for split, rows in found.items():
        given = list(rows[column]) if column in rows.features else [None]
        lacking = [row for row, value in enumerate(given) if value is None or (names[split] and value < 0)]
        if not lacking:
            values[split] = given
        elif split == "train":
            raise DataError(f"hf:{name}, train row {lacking[0] + 1}: there is no label")
    classes = names["train"]
    if classes is None:
        classes = named_classes([str(value) for value in values["train"]])
    labels = {}
    for split, given in values.items():
        own = names[split]
        if own is not None and own == classes:
            labels[split] = [int(value) for value in given]
        else:
            texts = [str(value) if own is None else own[value] for value in given]
            labels[split] = _numbers(name, split, texts, classes)
    return tuple(map(str, classes)), labels


def _load(name: str) -> Mapping[str, Any]:
    """The splits of a data set by their names. Raises `DataError`."""
    try:
        import datasets
    except ImportError:
        raise DataError(f"hf:{name} needs a package: pip install 'nars[hf]'") from None
    datasets.disable_progress_bars()
    logging.getLogger("huggingface_hub").setLevel(logging.ERROR)  # its retries; the outcome is told below
    saved = any((Path(name) / file).exists() for file in ("dataset_dict.json", "state.json"))
    try:
        loaded = datasets.load_from_disk(name) if saved else datasets.load_dataset(name)
    except (OSError, ValueError, RuntimeError, datasets.exceptions.DatasetsError) as error:
        reason = " ".join(str(error).split())
        remedy = "" if Path(name).exists() else "; a copy of it in a folder is hf:FOLDER and needs no network"
        raise DataError(f"cannot load hf:{name}: {reason}{remedy}") from None
    return loaded if isinstance(loaded, Mapping) else {"train": loaded}


def _column(name: str, features: Mapping[str, Any], kind: str, names: Sequence[str]) -> str:
    """The first column of a type or, if there is none, with one of some names. Raises `DataError`."""
    for column, feature in features.items():
        if type(feature).__name__ == kind:
            return column
    for column in names:
        if column in features:
            return column
    there = ", ".join(f"{column} ({type(feature).__name__})" for column, feature in features.items())
    raise DataError(f"hf:{name} has no column of type {kind}; its columns: {there}")


def _numbers(name: str, split: str, texts: Sequence[str], classes: Sequence[str]) -> list[int]:
    number_of = {text: number for number, text in enumerate(classes)}
    for row, text in enumerate(texts):
        if text not in number_of:
            raise DataError(f"hf:{name}, {split} row {row + 1}: train has no class {text!r}")
    return [number_of[text] for text in texts]


def _pictures(split: str, rows: Any, column: str, labels: Sequence[int], source: Path) -> list[Picture]:
    """Pictures that are read from the rows when they are opened, with the hashes of their bytes."""
    from datasets import Image as Encoded

    encoded = rows.select_columns([column]).cast_column(column, Encoded(decode=False))
    pictures = []
    for number, label in enumerate(labels):
        read = partial(_bytes, encoded, column, number, source)
        digest = hashlib.blake2b(read(), digest_size=16).hexdigest()
        opened = partial(_open, read, f"{split} image {number}")
        pictures.append(Picture(f"{split} image {number}", label, opened, digest=digest))
    return pictures


def _bytes(rows: Any, column: str, number: int, source: Path) -> bytes:
    """The bytes of an image file, stored in the data set or beside it; empty if it cannot be read.

    Raises `DataError` for a file outside of the folder `source` and of the package's cache.
    """
    value = rows[number][column] or {}
    if value.get("bytes") is not None:
        return bytes(value["bytes"])
    if not value.get("path"):
        return b""
    try:
        return read_bytes(_permitted(source / value["path"], source))
    except OSError:
        return b""


def _permitted(file: Path, source: Path) -> Path:
    """The file if it is in the cache, into which the package unpacks, or may be followed from `source`."""
    from datasets import config

    try:
        return inside(file, Path(config.HF_DATASETS_CACHE))
    except DataError:
        return inside(file, source)


def _open(read: Callable[[], bytes], name: str, side: int) -> Image.Image:
    try:
        with open_picture(read()) as image:
            return shown(image, side)
    except DAMAGE as error:
        raise DataError(f"cannot read {name}: {reason(error)}") from None
