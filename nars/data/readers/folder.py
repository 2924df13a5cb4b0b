"""A folder of class folders, with or without folders of splits above or below them."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from unicodedata import normalize

from PIL import Image

from nars.data.contents import hashes
from nars.data.decoding import Reading, from_pictures
from nars.data.images import ImageData
from nars.data.pictures import SUFFIXES, Picture, read_rgb
from nars.data.readers import unsupported
from nars.data.readers.class_folders import ClassFolders, class_folders
from nars.data.readers.of_boxes import boxes_in
from nars.errors import DataError, closest
from nars.foreign.files import listing
from nars.foreign.names import is_leftover
from nars.foreign.parts import passed_over
from nars.foreign.signatures import heic_advice

__all__ = ["folder"]

logger = logging.getLogger(__name__)


def folder(root: Path, *, drop_bad: bool = False, whole: bool = False) -> ImageData:
    """DIR/CLASS/*.jpg, DIR/SPLIT/CLASS/*.jpg or DIR/CLASS/SPLIT/*.jpg. Raises `DataError`.

    Missing splits are cut from train; with `whole`, images without any split stay together. Class folders
    are searched to any depth, linked folders too; what is hidden or a leftover of a system, and files without
    the suffix of an image, are passed over and counted.
    """
    try:
        layout, splits, passed = _found(root, whole=whole)
    except DataError:
        boxes = boxes_in(root)
        if boxes is None:
            raise
        raise DataError(boxes) from None
    if (boxes := boxes_in(root)) is not None:
        logger.warning("%s; without that, its folders are classes", boxes)
    classes = tuple(layout.classes["train"])
    content, sizes = [], []
    for split, pictures in splits.items():
        files = [layout.roots[split] / picture.name for picture in pictures]
        digests = hashes(files, layout.roots[split])
        splits[split] = [
            picture._replace(digest=digest) for picture, digest in zip(pictures, digests, strict=True)
        ]
        for picture, file in zip(splits[split], files, strict=True):
            place = f"{split}/{picture.label}/{picture.name}"
            content.append(f"{place}:{picture.digest}")
            sizes.append(f"{place}:{_size(file)}")
    reading = Reading(layout.layout, layout.notes, passed, whole)
    name = root.resolve().name
    return from_pictures(name, classes, splits, content, drop_bad=drop_bad, earlier=sizes, reading=reading)


def _found(
    root: Path, *, whole: bool
) -> tuple[ClassFolders, dict[str, list[Picture]], dict[str, Counter[str]]]:
    """The class folders, and the pictures of each split with what was passed over. Raises `DataError`."""
    try:
        layout = class_folders(root, whole=whole)
    except DataError as error:
        other = unsupported.named(root)
        raise DataError(f"{error}; {other}" if other else str(error)) from None
    classes = tuple(layout.classes["train"])
    if len(classes) == 1 and not whole:
        where = layout.roots["train"]
        raise DataError(
            f"{where} has one class, {classes[0]!r}; a classifier needs two or more, each in a folder of its "
            f"own, or a table of paths and labels ({unsupported.named(root) or _other_files(root)})"
        )
    splits: dict[str, list[Picture]] = {}
    passed = {"train": layout.passed.copy()}
    for split, places in layout.classes.items():
        listed, own = layout.listed.get(split), passed.setdefault(split, Counter[str]())
        root_of = layout.roots[split]
        splits[split] = (
            _pictures(root_of, places, classes, own) if listed is None else _listed(listed, classes)
        )
    return layout, splits, passed


def _other_files(root: Path) -> str:
    """Name the files of a folder."""
    names = [path.name for path in sorted(root.iterdir()) if path.is_file() and not is_leftover(path.name)]
    return f"as CSV; there is {', '.join(names[:4])}" if names else "as CSV"


def _pictures(
    root: Path, places: Mapping[str, Path], classes: Sequence[str], passed: Counter[str]
) -> list[Picture]:
    """Pictures named by their path below `root`, in the order of those names.

    Systems differ in how they compose the accents of a class's name.
    """
    pictures = []
    labels = {normalize("NFC", title): label for label, title in enumerate(classes)}
    labels |= {title: label for label, title in enumerate(classes)}
    for name, path in places.items():
        label = labels.get(name, labels.get(normalize("NFC", name)))
        if label is None:
            raise DataError(f"{path}: train has no class {name!r}: {closest(name, classes)}")
        found = listing(path, SUFFIXES)
        if not found.files:
            there = f" (passed over: {passed_over(found.passed)})" if found.passed else ""
            remedy = heic_advice(found.passed) or "remove the folder, or put images there"
            raise DataError(f"no images in {path}{there}: {remedy}")
        passed += found.passed
        pictures += [
            Picture(file.relative_to(root).as_posix(), label, partial(_open, file)) for file in found.files
        ]
    return pictures


def _listed(classes_of: Mapping[Path, str], classes: Sequence[str]) -> list[Picture]:
    """Pictures of a folder without class folders, named by their files."""
    labels = {title: label for label, title in enumerate(classes)}
    return [Picture(file.name, labels[title], partial(_open, file)) for file, title in classes_of.items()]


def _open(path: Path, side: int) -> Image.Image:
    return read_rgb(path, side)


def _size(file: Path) -> int:
    """Bytes of a file; 0 for a link to nothing, which decoding reports."""
    try:
        return file.stat().st_size
    except OSError:
        return 0
