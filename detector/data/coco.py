"""Writes records as COCO's JSON, and as folders of images with such a file."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path, PurePosixPath
from typing import Any

from PIL import Image

from detector.data.readers.own_ids import with_own_ids
from detector.data.records import Annotation, CocoData, ImageRecord, Subset
from nars.errors import DataError
from nars.files import write_whole
from nars.foreign.paths import copied

__all__ = ["to_dict", "write"]


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
    whole = folder.resolve()  # has a name, whatever the folder is called
    part = whole.with_name(f".{whole.name}.part")
    try:
        shutil.rmtree(part, ignore_errors=True)
        for subset in data.subsets:
            _write_subset(subset, part / subset.name)
        part.replace(whole)
    except OSError as error:
        raise DataError(f"cannot write {folder}: {error.strerror or error}") from None
    finally:
        shutil.rmtree(part, ignore_errors=True)


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


def _write_subset(subset: Subset, folder: Path) -> None:
    folder.mkdir(parents=True)
    renamed = []
    taken: set[str] = {"annotations.json"}
    for image in subset.images:
        file = _free_name(image, taken)
        target = folder / file
        target.parent.mkdir(parents=True, exist_ok=True)
        if subset.pixels is None:
            shutil.copyfile(copied(subset.path(image), subset.root.parent), target)
        else:
            Image.fromarray(subset.pixels[image.id]).save(target, format="PNG")
        renamed.append(image._replace(file=file))
    document = with_own_ids(to_dict(replace(subset, images=tuple(renamed))), subset)
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
