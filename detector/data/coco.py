"""Reads COCO's annotation files into records, and writes records as COCO folders."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Sequence
from operator import index as whole_number
from pathlib import Path, PurePosixPath
from typing import Any, TypeVar

from PIL import Image

from detector.data.findings import Finding, FindingHandler, refuse
from detector.data.records import Annotation, Category, CocoData, ImageRecord, Subset
from nars.errors import DataError
from nars.files import write_whole

__all__ = ["read_subset", "to_dict", "write"]

_Record = TypeVar("_Record", ImageRecord, Annotation, Category)


def read_subset(name: str, path: Path, roots: Sequence[Path], report: FindingHandler = refuse) -> Subset:
    """Read an annotation file; its images are in the first of `roots` that has them.

    Entries that cannot be parsed go to `report`, which by default raises `DataError`.
    """
    document = _parse(name, path, report)
    images = _records(name, path, document, "images", _image, report)
    return Subset(
        name=name,
        source=path,
        root=_root(images, roots),
        images=images,
        annotations=_records(name, path, document, "annotations", _annotation, report),
        categories=_records(name, path, document, "categories", _category, report),
    )


def to_dict(subset: Subset) -> dict[str, Any]:
    """Return the records as COCO's JSON object, which pycocotools takes as ``COCO.dataset``."""
    return {
        "info": {"description": subset.name},
        "licenses": [],
        "images": [
            {"id": image.id, "file_name": image.file, "width": image.width, "height": image.height}
            for image in subset.images
        ],
        "annotations": [_fields(annotation) for annotation in subset.annotations],
        "categories": [category._asdict() for category in subset.categories],
    }


def write(data: CocoData, folder: str | Path) -> None:
    """Write ``train/`` and ``val/``, each with its images and ``annotations.json``.

    The folder must be new or empty, and appears whole or not at all. Image files are copied
    byte by byte. Raises `DataError`.
    """
    folder = Path(folder)
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise DataError(f"{folder}: is there already; name a new or an empty folder")
    part = folder.with_name(f".{folder.name}.part")
    try:
        shutil.rmtree(part, ignore_errors=True)
        for subset in data.subsets:
            _write_subset(subset, part / subset.name)
        part.replace(folder)
    except OSError as error:
        raise DataError(f"cannot write {folder}: {error.strerror or error}") from None
    finally:
        shutil.rmtree(part, ignore_errors=True)


def _parse(name: str, path: Path, report: FindingHandler) -> dict[str, Any]:
    try:
        document = json.loads(path.read_bytes())
    except OSError as error:
        reason = f"cannot be read: {error.strerror or error}"
    except (ValueError, RecursionError) as error:
        reason = f"is not JSON, perhaps cut off: {error}"
    else:
        if isinstance(document, dict):
            return document
        reason = (
            f"must hold an object with images, annotations and categories, not a {type(document).__name__}"
        )
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
        except (KeyError, TypeError, ValueError, OverflowError, AttributeError) as error:
            reason = f"no {error}" if isinstance(error, KeyError) else str(error)
            message = f"{key}[{position}]: {reason}"
            report(Finding("record-malformed", split, str(path), message, _id(row)))
    return tuple(records)


def _image(row: dict[str, Any]) -> ImageRecord:
    width, height = whole_number(row.get("width") or 0), whole_number(row.get("height") or 0)
    if not isinstance(row["file_name"], str) or not row["file_name"]:
        raise TypeError("file_name is not a text")
    if width <= 0 or height <= 0:
        width = height = 0
    return ImageRecord(whole_number(row["id"]), row["file_name"], width, height)


def _annotation(row: dict[str, Any]) -> Annotation:
    left, top, width, height = map(float, row["bbox"])
    area = row.get("area")
    return Annotation(
        whole_number(row["id"]),
        whole_number(row["image_id"]),
        whole_number(row["category_id"]),
        (left, top, width, height),
        width * height if area is None else float(area),
        bool(row.get("iscrowd", 0)),
        row.get("segmentation") or None,
    )


def _category(row: dict[str, Any]) -> Category:
    return Category(whole_number(row["id"]), str(row["name"]), str(row.get("supercategory") or ""))


def _id(row: object) -> int | None:
    value = row.get("id") if isinstance(row, dict) else None
    return value if isinstance(value, int) else None


def _fields(annotation: Annotation) -> dict[str, Any]:
    fields = {
        "id": annotation.id,
        "image_id": annotation.image_id,
        "category_id": annotation.category_id,
        "bbox": list(annotation.box),
        "area": annotation.area,
        "iscrowd": int(annotation.crowd),
    }
    return fields | ({} if annotation.segmentation is None else {"segmentation": annotation.segmentation})


def _root(images: Sequence[ImageRecord], roots: Sequence[Path]) -> Path:
    """Return the first folder that has one of the first images, else the first that exists."""
    folders = [root for root in roots if root.is_dir()]
    for folder in folders:
        if any((folder / image.file).is_file() for image in images[:20]):
            return folder
    return folders[0] if folders else roots[0]


def _write_subset(subset: Subset, folder: Path) -> None:
    folder.mkdir(parents=True)
    renamed = []
    taken: set[str] = {"annotations.json"}
    for image in subset.images:
        file = _free_name(image, taken)
        target = folder / file
        target.parent.mkdir(parents=True, exist_ok=True)
        if subset.pixels is None:
            shutil.copyfile(subset.path(image), target)
        else:
            Image.fromarray(subset.pixels[image.id]).save(target, format="PNG")
        renamed.append(image._replace(file=file))
    document = to_dict(subset) | {"images": to_dict(Subset("", folder, folder, tuple(renamed)))["images"]}
    write_whole(folder / "annotations.json", json.dumps(document, separators=(",", ":")))


def _free_name(image: ImageRecord, taken: set[str]) -> str:
    """Return the image's file name made safe: inside the folder, and not of another image."""
    path = PurePosixPath(image.file.replace("\\", "/"))
    name = str(path.name if path.is_absolute() or ".." in path.parts else path)
    if name in taken:
        name = f"{image.id}-{PurePosixPath(name).name}"
    assert name not in taken, name
    taken.add(name)
    return name
