"""Reads YOLO folders, one text file per image, into COCO's records.

    DIR/data.yaml       path, train, val: folders or lists of images; names: the classes
    DIR/classes.txt     one name a line, with images/ and labels/; both have train/ and val/, or
                        neither has: then a fifth of the images is set aside for validation

The labels of ``images/a/b.jpg`` are in ``labels/a/b.txt``. A line is a class number with the x
and y of the centre, width and height, as fractions of the image as a viewer shows it; or a
class number and a polygon. An image without labels is background.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from os.path import relpath
from pathlib import Path
from typing import Any, NamedTuple

import yaml

from detector.data import images
from detector.data.findings import Finding, FindingHandler, refuse
from detector.data.records import Annotation, Category, CocoData, ImageRecord, Segmentation, Subset, divide
from nars.data.pictures import READERS, SUFFIXES
from nars.errors import DataError

__all__ = ["read"]


class _Layout(NamedTuple):
    """The classes and images of a folder."""

    names: dict[int, str]
    parts: dict[str, list[Path]]
    """The image files of train and val."""


def read(folder: Path, report: FindingHandler = refuse) -> CocoData | None:
    """Read the data set of a YOLO folder; None if the folder has no YOLO layout.

    Unusable lines go to `report`, which by default raises `DataError`. Also raises `DataError`
    for a data.yaml without usable names and folders.
    """
    layout = _by_yaml(folder) or _by_classes(folder)
    if layout is None:
        return None
    categories = tuple(Category(id, name) for id, name in sorted(layout.names.items()))
    empty = {name: Subset(name, folder, folder) for name in ("train", "val")}
    subsets = empty | {
        name: replace(_subset(name, folder, files, report), categories=categories)
        for name, files in layout.parts.items()
    }
    return CocoData(**subsets) if "val" in layout.parts else divide(subsets["train"])


def _by_yaml(folder: Path) -> _Layout | None:
    path = next(
        (folder / name for name in ("data.yaml", "data.yml", "dataset.yaml") if (folder / name).is_file()),
        None,
    )
    if path is None:
        return None
    try:
        fields = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (yaml.YAMLError, ValueError, OSError) as error:
        raise DataError(f"{path}: cannot be read: {' '.join(str(error).split())[:120]}") from None
    if not isinstance(fields, dict):
        raise DataError(f"{path}: must hold names, train and val")
    entries = {name: fields[name] for name in ("train", "val") if fields.get(name)} or {"train": "images"}
    base = folder / str(fields.get("path") or "")
    return _Layout(
        _names(fields.get("names"), path),
        {
            name: _files(entry, base if base.is_dir() else folder, folder, path)
            for name, entry in entries.items()
        },
    )


def _by_classes(folder: Path) -> _Layout | None:
    path = next(
        (file for parent in (folder, folder / "labels") if (file := parent / "classes.txt").is_file()), None
    )
    if path is None or not (folder / "images").is_dir():
        return None
    names = [line.strip() for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]
    words = (("train", "train"), ("val", "val"), ("val", "valid"))
    parts = {name: files for name, word in words if (files := _listing(folder / "images" / word))}
    return _Layout(_names(names, path), parts or {"train": _listing(folder / "images")})


def _names(names: object, path: Path) -> dict[int, str]:
    by_id = dict(enumerate(names)) if isinstance(names, list) else names
    if not isinstance(by_id, dict) or not by_id or not all(isinstance(id, int) and id >= 0 for id in by_id):
        raise DataError(f"{path}: names must be a list of class names, or a mapping from 0, 1, ... to names")
    return {id: str(name) for id, name in by_id.items()}


def _files(entry: Any, base: Path, folder: Path, path: Path) -> list[Path]:
    """List the images of an entry of data.yaml: a folder, a list in a file, or several of these."""
    if isinstance(entry, list):
        return [file for part in entry for file in _files(part, base, folder, path)]
    target_name = Path(str(entry))
    # Roboflow writes ../train/images for train/images.
    inside = Path(*(part for part in target_name.parts if part != ".."))
    for target in (base / target_name, folder / target_name, folder / inside):
        if target.is_dir():
            return _listing(target)
        if target.is_file():
            lines = target.read_text(encoding="utf-8").splitlines()
            return [target.parent / line.strip() for line in lines if line.strip()]
    raise DataError(f"{path}: no folder or list of images {str(entry)!r}")


def _listing(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.suffix.lower() in SUFFIXES)


def _subset(name: str, folder: Path, files: Sequence[Path], report: FindingHandler) -> Subset:
    with ThreadPoolExecutor(READERS) as pool:
        sizes = list(pool.map(images.shown_size, files))
    records: list[ImageRecord] = []
    annotations: list[Annotation] = []
    for number, (file, (width, height)) in enumerate(zip(files, sizes, strict=True), start=1):
        records.append(ImageRecord(number, Path(relpath(file, folder)).as_posix(), width, height))
        if not width:  # unreadable: the check reports it, and fractions need a size
            continue
        for class_id, box, polygon in _labels(name, _label_file(file), width, height, report):
            area = _polygon_area(polygon[0]) if isinstance(polygon, list) else box[2] * box[3]
            annotations.append(
                Annotation(len(annotations) + 1, number, class_id, box, area, segmentation=polygon)
            )
    _report_strays(name, files, report)
    return Subset(name, folder, folder, tuple(records), tuple(annotations))


def _label_file(image: Path) -> Path:
    """Return the path of an image's labels: the last folder ``images`` becomes ``labels``."""
    parts = list(image.with_suffix(".txt").parts)
    for position in range(len(parts) - 2, -1, -1):
        if parts[position] == "images":
            parts[position] = "labels"
            break
    return Path(*parts)


def _labels(
    split: str, path: Path, width: int, height: int, report: FindingHandler
) -> Iterator[tuple[int, tuple[float, float, float, float], Segmentation | None]]:
    """Yield class number, box in pixels and, if given, polygon of each line."""
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return
    except (OSError, ValueError) as error:
        report(Finding("record-malformed", split, str(path), f"cannot be read: {error}"))
        return
    for number, line in enumerate(text.splitlines(), start=1):
        fields = line.split()
        if not fields:
            continue
        try:
            class_id, values = int(fields[0]), [float(field) for field in fields[1:]]
            if len(values) != 4 and (len(values) < 6 or len(values) % 2):
                raise ValueError(f"{len(values)} numbers, expected 4 of a box or 6 and more of a polygon")
        except ValueError as error:
            report(Finding("record-malformed", split, str(path), f"line {number}: {error}"))
            continue
        if len(values) == 4:
            x, y, w, h = values
            yield class_id, ((x - w / 2) * width, (y - h / 2) * height, w * width, h * height), None
        else:
            xs, ys = [x * width for x in values[::2]], [y * height for y in values[1::2]]
            polygon = [number for point in zip(xs, ys, strict=True) for number in point]
            yield class_id, (min(xs), min(ys), max(xs) - min(xs), max(ys) - min(ys)), [polygon]


def _polygon_area(polygon: list[float]) -> float:
    """Return the area of a polygon that does not cross itself, by the shoelace formula."""
    xs, ys = polygon[::2], polygon[1::2]
    crosses = (xs[i - 1] * ys[i] - xs[i] * ys[i - 1] for i in range(len(xs)))
    return abs(sum(crosses)) / 2


def _report_strays(split: str, files: Sequence[Path], report: FindingHandler) -> None:
    """Report label files without an image."""
    expected = {_label_file(file) for file in files}
    for folder in sorted({path.parent for path in expected}):
        for path in sorted(folder.glob("*.txt")):
            if path not in expected and path.name != "classes.txt":
                report(Finding("annotation-without-image", split, str(path), "labels without an image"))
