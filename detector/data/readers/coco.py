"""Reads COCO's annotation files into records."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Sequence
from pathlib import Path, PurePosixPath
from typing import Any, TypeVar

from detector.data.findings import Finding, FindingHandler, refuse
from detector.data.readers.own_ids import OwnIds, numbered
from detector.data.records import Annotation, Category, ImageRecord, Subset
from nars.data.pictures import SUFFIXES
from nars.errors import DataError
from nars.foreign.files import Finder
from nars.foreign.names import parts_of, split_of
from nars.foreign.numbers import real, whole
from nars.foreign.parts import counted
from nars.foreign.paths import inside, is_file, read_bytes
from nars.foreign.text import decoded
from nars.foreign.values import class_name

__all__ = ["is_coco", "read_subset"]

_KEYS = ("images", "annotations", "categories")
"""The lists of an annotation file."""

_MALFORMED = (KeyError, TypeError, ValueError, OverflowError, AttributeError)
"""Exceptions of entries that cannot be parsed."""

_Record = TypeVar("_Record", ImageRecord, Annotation, Category)


def read_subset(
    name: str,
    path: Path,
    roots: Sequence[Path],
    report: FindingHandler = refuse,
    within: Path | None = None,
    categories: OwnIds | None = None,
) -> Subset:
    """Read an annotation file; its images are in the first of `roots` that has them.

    An image that is not there is looked for by its name in the folder `within`. Entries that cannot be
    parsed go to `report`, which by default raises `DataError`. `categories` has the ids of categories
    that are texts, those of all parts of a data set, and gets those of this one.
    """
    category_ids = {} if categories is None else categories
    document, image_ids = numbered(_parse(name, path, report), category_ids)
    images = _records(name, path, document, "images", _image, report)
    root = _root(images, roots)
    images, found = _found(images, root, within, _split_named(path))
    rows = document.get("annotations")
    made = sum(map(_is_made, rows)) if isinstance(rows, list) else 0
    notes = [f"{counted(len(found), 'image')} found by name, such as {found[0]}"] if found else []
    whose = "its" if made == 1 else "their"
    notes += [f"{counted(made, 'box')} made of {whose} segmentation"] if made else []
    return Subset(
        name=name,
        source=path,
        root=root,
        images=images,
        annotations=_records(name, path, document, "annotations", _annotation, report),
        categories=_records(name, path, document, "categories", _category, report),
        layout=f"COCO, {path.relative_to(within).as_posix() if within else path.name}",
        notes=tuple(notes),
        image_ids=image_ids,
        category_ids=category_ids,
    )


def is_coco(path: Path) -> bool:
    """Whether a JSON file has images and annotations, as COCO's have."""
    try:
        content = read_bytes(path)
        document = (
            json.loads(decoded(content, path)) if b"annotations" in content.replace(b"\0", b"") else None
        )
    except (OSError, ValueError, RecursionError, DataError):
        return False
    return isinstance(document, dict) and all(
        isinstance(document.get(key), list) for key in ("images", "annotations")
    )


def _parse(name: str, path: Path, report: FindingHandler) -> dict[str, Any]:
    try:
        document = json.loads(decoded(read_bytes(path), path))
    except OSError as error:
        reason = f"cannot be read: {error.strerror or error}"
    except (ValueError, RecursionError, DataError) as error:
        reason = f"is not JSON, perhaps cut off: {error}"
    else:
        if isinstance(document, dict) and "images" in document:
            return document
        kind = type(document).__name__
        reason = f"must hold an object with images, annotations and categories, not a {kind}"
        if isinstance(document, dict):
            reason = f"is not COCO's: has no {', no '.join(key for key in _KEYS if key not in document)}"
    report(Finding("file-unreadable", name, str(path), reason))
    return {}


def _records(
    split: str,
    path: Path,
    document: dict[str, Any],
    key: str,
    make: Callable[[dict[str, Any]], _Record],
    report: FindingHandler,
) -> tuple[_Record, ...]:
    rows = document.get(key, [])
    if not isinstance(rows, list):
        report(
            Finding("file-unreadable", split, str(path), f"{key} must be a list, not a {type(rows).__name__}")
        )
        return ()
    records = []
    for position, row in enumerate(rows):
        try:
            records.append(make(row))
        except _MALFORMED as error:
            reason = f"no {error}" if isinstance(error, KeyError) else str(error)
            message = f"{key}[{position}]: {reason}"
            report(Finding("record-malformed", split, str(path), message, _id(row)))
    return tuple(records)


def _image(row: dict[str, Any]) -> ImageRecord:
    width, height = (whole(row.get(side) or 0, side) for side in ("width", "height"))
    if "file_name" not in row and isinstance(row.get("coco_url"), str):  # as in LVIS
        row = row | {"file_name": "/".join(parts_of(row["coco_url"])[-2:])}
    if not isinstance(row["file_name"], str) or not row["file_name"]:
        raise TypeError("file_name is not a text")
    if width <= 0 or height <= 0:
        width = height = 0
    return ImageRecord(whole(row["id"], "id"), row["file_name"], width, height)


def _annotation(row: dict[str, Any]) -> Annotation:
    segmentation = row.get("segmentation") or None
    if isinstance(segmentation, list) and all(isinstance(number, int | float) for number in segmentation):
        segmentation = [segmentation]  # a polygon alone, as the VGG Image Annotator writes it
    left, top, width, height = _box(row.get("bbox"), segmentation)
    area = row.get("area")
    return Annotation(
        whole(row["id"], "id"),
        whole(row["image_id"], "image_id"),
        whole(row["category_id"], "category_id"),
        (left, top, width, height),
        width * height if area is None else real(area, "area"),
        bool(whole(row.get("iscrowd") or 0, "iscrowd")),
        segmentation,
    )


def _is_made(row: object) -> bool:
    """Whether an annotation can be parsed, and its box is made of its segmentation."""
    if not isinstance(row, dict) or row.get("bbox"):
        return False
    try:
        _annotation(row)
    except _MALFORMED:
        return False
    return True


def _box(box: Any, segmentation: Any) -> tuple[float, float, float, float]:
    """The box of an annotation, or that around its polygons. Raises `ValueError`."""
    if box:
        if not isinstance(box, list) or len(box) != 4:
            raise ValueError(f"bbox is {str(box)[:40]}, not a list of 4 numbers")
        left, top, width, height = (real(number, "bbox") for number in box)
        return left, top, width, height
    if not isinstance(segmentation, list):
        raise ValueError("no bbox, and no polygon in segmentation to make it of")
    numbers = [real(number, "segmentation") for polygon in segmentation for number in polygon]
    xs, ys = numbers[::2], numbers[1::2]
    if len(xs) < 3 or len(xs) != len(ys):
        raise ValueError("no bbox, and segmentation has no three points to make it of")
    return min(xs), min(ys), max(xs) - min(xs), max(ys) - min(ys)


def _category(row: dict[str, Any]) -> Category:
    return Category(whole(row["id"], "id"), class_name(row["name"]), str(row.get("supercategory") or ""))


def _id(row: object) -> int | None:
    value = row.get("id") if isinstance(row, dict) else None
    return value if isinstance(value, int) else None


def _found(
    images: tuple[ImageRecord, ...], root: Path, within: Path | None, split: str | None
) -> tuple[tuple[ImageRecord, ...], list[str]]:
    """The images with files that are there, and the names under which others were found in `within`.

    An image of a `split` is not taken from the folder of another one. Raises `DataError` for a name that
    leads to a file outside of the data set.
    """
    finder = Finder(within, SUFFIXES) if within is not None else None
    found: list[str] = []
    records = []
    for image in images:
        if finder is not None and not is_file(root / image.file):
            below = root.relative_to(finder.root).parts if root.is_relative_to(finder.root) else ()
            file = finder.find(image.file, below)
            others = {split_of(part) for part in file.parts[:-1]} - {None, split} if file and split else set()
            if file is not None and not others:
                found.append(file.as_posix())
                relative = Path(os.path.relpath(finder.root / file, root)).as_posix()
                image = image._replace(file=relative)
        _check_inside(image, root, root if within is None else within)
        records.append(image)
    return tuple(records), found


def _check_inside(image: ImageRecord, root: Path, data: Path) -> None:
    """Raise `DataError` if an image's name leads to a file outside of the data set in the folder `data`."""
    named = PurePosixPath(image.file)
    if (named.is_absolute() or ".." in named.parts) and is_file(root / image.file):
        inside(root / image.file, data)


def _split_named(path: Path) -> str | None:
    """The split that the name of an annotation file or of its folder says."""
    return split_of(path.stem.removeprefix("instances_")) or split_of(path.parent.name)


def _root(images: Sequence[ImageRecord], roots: Sequence[Path]) -> Path:
    """Return the first folder that has one of the first images, else the first that exists."""
    folders = [root for root in roots if root.is_dir()]
    for folder in folders:
        if any(is_file(folder / image.file) for image in images[:20]):
            return folder
    return folders[0] if folders else roots[0]
