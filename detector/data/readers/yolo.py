"""Reads YOLO folders, one text file per image, into COCO's records.

    DIR/data.yaml       path, train, val: folders or lists of images; names: the classes; or another YAML file
    DIR/obj.data        darknet's: train and valid: lists of images; names: a file of the classes
    DIR/classes.txt     one name a line, with images/ and labels/, or with all files beside it; images/ may
                        have a folder for each part, else a fifth of the images is set aside for validation

The labels of ``images/a/b.jpg`` are in ``labels/a/b.txt``, or beside the image. A line is a class number with
the x and y of the centre, width and height, as fractions of the image as a viewer shows it; a class number
and a polygon; or a box and points, if ``kpt_shape`` in data.yaml says so, which are left out. An image
without labels is background. `detector.data.yolo_layouts` finds classes and images.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from math import isfinite
from os.path import relpath
from pathlib import Path

from detector.data import images
from detector.data.findings import Finding, FindingHandler, refuse
from detector.data.readers.yolo_layouts import Layout, find
from detector.data.records import Annotation, Category, ImageRecord, Segmentation, Subset
from nars.data.pictures import READERS
from nars.errors import DataError
from nars.foreign.names import is_leftover
from nars.foreign.numbers import real, whole
from nars.foreign.parts import counted
from nars.foreign.paths import is_file, is_there
from nars.foreign.text import lines, read_text

__all__ = ["read"]

_LARGEST = 2.0
"""Numbers of a label above this are pixels, or of another format; fractions may be a little above 1."""

_NO_LABELS = ("classes.txt", "labels.txt", "predefined_classes.txt", "train.txt", "val.txt", "test.txt")
"""Text files that are no labels of an image."""

_Label = tuple[int, tuple[float, float, float, float], Segmentation | None]
"""Class number, box in pixels, and polygon, if there is one."""


def read(folder: Path, report: FindingHandler = refuse) -> dict[str, Subset] | None:
    """Read the parts of a YOLO folder; None if the folder has no YOLO layout.

    Unusable lines go to `report`, which by default raises `DataError`. Also raises `DataError`
    for a data.yaml without usable names and folders.
    """
    layout = find(folder)
    if layout is None:
        return None
    labels = {name: [_label_file(file, folder) for file in files] for name, files in layout.parts.items()}
    known = {path for paths in labels.values() for path in paths}
    subsets = {name: _subset(name, folder, layout, labels[name], report) for name in layout.parts}
    for name, paths in labels.items():
        _report_strays(name, paths, layout.parts[name], known, report)
    return subsets


def _subset(
    name: str, folder: Path, layout: Layout, labels: Sequence[Path], report: FindingHandler
) -> Subset:
    files = layout.parts[name]
    with ThreadPoolExecutor(READERS) as pool:
        pictures = list(pool.map(images.glance, files))
    records: list[ImageRecord] = []
    annotations: list[Annotation] = []
    for number, (file, path, picture) in enumerate(zip(files, labels, pictures, strict=True), start=1):
        records.append(ImageRecord(number, Path(relpath(file, folder)).as_posix(), *picture.shown))
        if not picture.width:  # unreadable: the check reports it, and fractions need a size
            continue
        for class_id, box, polygon in _labels(name, path, picture, layout.points, report):
            area = _polygon_area(polygon[0]) if isinstance(polygon, list) else box[2] * box[3]
            annotations.append(
                Annotation(len(annotations) + 1, number, class_id, box, area, segmentation=polygon)
            )
    notes = [f"{layout.points} numbers of points per box are left out"] if layout.points else []
    turned = sum(picture.is_turned_unseen for picture in pictures)
    notes += [f"boxes of {counted(turned, 'image')} turned back, as EXIF turns the picture"] if turned else []
    return Subset(
        name,
        folder,
        folder,
        tuple(records),
        tuple(annotations),
        tuple(Category(id, title) for id, title in sorted(layout.names.items())),
        layout=f"YOLO, {layout.source}",
        notes=tuple(notes),
        passed=layout.passed.get(name, {}),
    )


def _label_file(image: Path, folder: Path) -> Path:
    """The labels of an image: the last folder ``images`` becomes ``labels``, or they are beside the image.

    Only folders below the data set count. The first of these paths is returned if there is no file.
    """
    beside = image.with_suffix(".txt")
    below = beside.relative_to(folder).parts if beside.is_relative_to(folder) else beside.parts
    first = len(beside.parts) - len(below)
    options = []
    for position in range(len(beside.parts) - 2, first - 1, -1):
        if beside.parts[position].lower() == "images":
            above, rest = beside.parts[:position], beside.parts[position + 1 :]
            options += [Path(*above, word, *rest) for word in ("labels", "Labels")]
            break
    options += [beside, folder / "labels" / beside.name]
    return next((path for path in options if is_file(path)), options[0])


def _labels(
    split: str, path: Path, picture: images.Probe, points: int, report: FindingHandler
) -> Iterator[_Label]:
    """Yield class number, box in pixels and, if given, polygon of each line."""
    if not is_there(path):
        return
    try:
        text = read_text(path)
    except DataError as error:
        report(Finding("record-malformed", split, str(path), f"cannot be read: {error}"))
        return
    for number, line in enumerate(lines(text), start=1):
        if not line.strip():
            continue
        try:
            yield _label(line, picture, points)
        except ValueError as error:
            report(Finding("record-malformed", split, str(path), f"line {number}: {error}"))


def _label(line: str, picture: images.Probe, points: int) -> _Label:
    """The label that a line gives for an image of a width and height. Raises `ValueError`."""
    if "," in line:
        raise ValueError("has commas; expected numbers with points, separated by spaces")
    fields = line.split()
    class_id, values = whole(fields[0], "class"), [real(field, "a number") for field in fields[1:]]
    if points and len(values) == 4 + points:
        values = values[:4]
    if len(values) != 4 and (len(values) < 6 or len(values) % 2):
        hint = "; the fifth may be a confidence, as of predictions" if len(values) == 5 else ""
        raise ValueError(f"{len(values)} numbers, expected 4 of a box or 6 and more of a polygon{hint}")
    large = next((value for value in values if isfinite(value) and abs(value) > _LARGEST), None)
    if large is not None:
        raise ValueError(f"{large:g} is no fraction of the image: numbers above 1 may be pixels")
    width, height = picture.shown
    if picture.is_turned_unseen:
        values = _as_stored(values, picture)
    if len(values) == 4:
        x, y, w, h = values
        return class_id, ((x - w / 2) * width, (y - h / 2) * height, w * width, h * height), None
    xs, ys = [x * width for x in values[::2]], [y * height for y in values[1::2]]
    polygon = [number for point in zip(xs, ys, strict=True) for number in point]
    return class_id, (min(xs), min(ys), max(xs) - min(xs), max(ys) - min(ys)), [polygon]


def _as_stored(values: Sequence[float], picture: images.Probe) -> list[float]:
    """The fractions of a box or a polygon in the picture as shown, as fractions of it as stored."""
    if len(values) == 4:
        x, y, w, h = values
        return [*picture.stored(x, y), *((h, w) if picture.turned else (w, h))]
    points = zip(values[::2], values[1::2], strict=True)
    return [number for x, y in points for number in picture.stored(x, y)]


def _polygon_area(polygon: list[float]) -> float:
    """Return the area of a polygon that does not cross itself, by the shoelace formula."""
    xs, ys = polygon[::2], polygon[1::2]
    crosses = (xs[i - 1] * ys[i] - xs[i] * ys[i - 1] for i in range(len(xs)))
    return abs(sum(crosses)) / 2


def _report_strays(
    split: str, expected: Sequence[Path], files: Sequence[Path], known: set[Path], report: FindingHandler
) -> None:
    """Report label files without an image, in folders that have labels of this part; `known` ones have one.

    Those that are reported are known from then on, as lists may divide one folder into parts.
    """
    stems = {file.stem for file in files}
    for folder in sorted({path.parent for path in expected}):
        for path in sorted(folder.glob("*.txt")):
            if is_leftover(path.name):
                continue
            if path not in known and path.stem not in stems and path.name.lower() not in _NO_LABELS:
                known.add(path)
                report(Finding("annotation-without-image", split, str(path), "labels without an image"))
