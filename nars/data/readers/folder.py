"""A folder of class folders, with or without ``train``, ``val`` and ``test`` above them."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from functools import partial
from pathlib import Path

from PIL import Image

from nars.data.contents import hashes
from nars.data.decoding import from_pictures
from nars.data.images import ImageData
from nars.data.pictures import SUFFIXES, Picture, read_rgb
from nars.errors import DataError, closest

__all__ = ["folder"]

logger = logging.getLogger(__name__)

_SPLITS = ("train", "val", "test")
"""Names of folders that are splits instead of classes."""


def folder(root: Path, *, drop_bad: bool = False) -> ImageData:
    """DIR/CLASS/*.jpg, or DIR/{train,val,test}/CLASS/*.jpg. Raises `DataError`.

    Missing splits are cut from train. Class folders are searched to any depth; names that begin
    with a dot are skipped, and so are files without the suffix of an image.
    """
    top = _folders(root)
    has_splits = any(path.name == "train" and _folders(path) for path in top)
    if has_splits:
        for path in top:
            if path.name not in _SPLITS:
                raise DataError(f"unknown split folder {path}: {closest(path.name, _SPLITS)}")
    roots = {path.name: path for path in top} if has_splits else {"train": root}
    classes = tuple(path.name for path in _folders(roots["train"]))
    if not classes:
        raise DataError(f"{root} is empty: expected folders of images, one per class")
    if len(classes) == 1:
        raise DataError(f"{roots['train']} has one class, {classes[0]!r}; a classifier needs two or more")
    splits = {name: _pictures(roots[name], classes) for name in _SPLITS if name in roots}
    content, sizes = [], []
    for split, pictures in splits.items():
        files = [roots[split] / picture.name for picture in pictures]
        digests = hashes(files, roots[split])
        splits[split] = [
            picture._replace(digest=digest) for picture, digest in zip(pictures, digests, strict=True)
        ]
        for picture, file in zip(splits[split], files, strict=True):
            place = f"{split}/{picture.label}/{picture.name}"
            content.append(f"{place}:{picture.digest}")
            sizes.append(f"{place}:{file.stat().st_size}")
    return from_pictures(root.resolve().name, classes, splits, content, drop_bad=drop_bad, earlier=sizes)


def _folders(path: Path) -> list[Path]:
    return sorted(entry for entry in path.iterdir() if entry.is_dir() and not entry.name.startswith("."))


def _pictures(root: Path, classes: Sequence[str]) -> list[Picture]:
    """Pictures named by their path below `root`, in the order of those names."""
    pictures = []
    for path in _folders(root):
        if path.name not in classes:
            raise DataError(f"{path}: train has no class {path.name!r}: {closest(path.name, classes)}")
        files = sorted(file for file in path.rglob("*") if file.is_file() and file.name[0] != ".")
        images = [file for file in files if file.suffix.lower() in SUFFIXES]
        if not images:
            raise DataError(f"no images in {path}: expected files ending in {', '.join(sorted(SUFFIXES))}")
        if len(images) < len(files):
            logger.info("%s: passed over %d files that are not images", path, len(files) - len(images))
        label = classes.index(path.name)
        pictures += [
            Picture(file.relative_to(root).as_posix(), label, partial(_open, file)) for file in images
        ]
    if not pictures:
        raise DataError(f"{root} is empty: expected folders of images, one per class")
    return pictures


def _open(path: Path, side: int) -> Image.Image:
    return read_rgb(path, side)
