"""Reads tables of boxes (CSV) into COCO's records; see `detector.data.readers.boxes` for their columns.

    DIR/train/_annotations.csv, DIR/valid/_annotations.csv      beside their images
    DIR/train_labels.csv, DIR/test_labels.csv                   images anywhere in DIR
    DIR/annotations.csv                                         parts by a column ``split``, if it has one

Boxes are in pixels from 0, or all of them in fractions of their images. The categories are the names in the
files, in order. Images that no row names are passed over.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from detector.data import images
from detector.data.findings import Finding, FindingHandler, refuse
from detector.data.readers.boxes import BoxRow, box_rows, is_of_boxes
from detector.data.records import Annotation, Category, ImageRecord, Subset
from nars.data.pictures import SUFFIXES
from nars.data.readers.table import named_classes
from nars.errors import DataError
from nars.foreign.files import Finder, folders, listing
from nars.foreign.names import is_leftover, parts_of, split_of
from nars.foreign.paths import inside, is_file

__all__ = ["read"]

_KIND = re.compile(r"[_-]?(labels?|annotations?|boxes|bbox|detections?)[_-]?")
"""Words in the name of a table around that of its split: ``train_labels``."""

_LABELS = ("labels", "annotations")
"""Folders of a part that a table may be in."""


@dataclass
class _Table:
    """A table of boxes, the part that its name or its folder stands for, and its rows."""

    file: Path
    folder: Path
    """The folder of the part, which its images are looked for in first."""
    split: str | None
    rows: list[BoxRow] = field(default_factory=list)


def read(folder: Path, report: FindingHandler = refuse) -> dict[str, Subset] | None:
    """Read the parts of a folder with tables of boxes; None if there is no such table.

    Rows that cannot be used go to `report`, which by default raises `DataError`; so do several tables that
    may be of one part.
    """
    tables = _tables(folder)
    if not tables:
        return None
    for table in tables:
        for row in box_rows(table.file):
            if isinstance(row, BoxRow):
                table.rows.append(row)
            else:
                number, reason = row
                part = table.split or "train"
                report(Finding("record-malformed", part, str(table.file), reason, number))
    names = named_classes([row.label for table in tables for row in table.rows if row.box is not None])
    categories = {name: number for number, name in enumerate(names, start=1)}
    finder = Finder(folder, SUFFIXES)
    by_part: dict[str, list[tuple[_Table, BoxRow]]] = {}
    for table in tables:
        for row in table.rows:
            by_part.setdefault(row.split or table.split or "train", []).append((table, row))
    subsets = {name: _subset(name, folder, by_part[name], categories, finder) for name in by_part}
    return _with_passed(subsets, folder)


def _with_passed(subsets: dict[str, Subset], folder: Path) -> dict[str, Subset]:
    """The parts, the first of them with a count of the images that no row names."""
    used = {image.file for subset in subsets.values() for image in subset.images}
    there = {file.relative_to(folder).as_posix() for file in listing(folder, SUFFIXES).files}
    passed = {"images that no row names": len(there - used)} if there - used else {}
    first = next(iter(subsets), None)
    return {
        name: replace(subset, passed=passed) if name == first else subset for name, subset in subsets.items()
    }


def _tables(folder: Path) -> list[_Table]:
    """The tables of boxes of a folder and of the parts in it. Raises `DataError` for several of one part."""
    found = [_Table(file, folder, split_of(_KIND.sub("", file.stem))) for file in _csv(folder)]
    for part in folders(folder):
        split = split_of(part.name)
        if split is None and part.name.lower() not in _LABELS:
            continue
        for place in (part, *(inner for inner in folders(part) if inner.name.lower() in _LABELS)):
            for file in _csv(place):
                own = split or split_of(_KIND.sub("", file.stem))
                found.append(_Table(file, part if split else folder, own))
    for table in found:
        same = [other.file for other in found if (other.split or "train") == (table.split or "train")]
        if len(same) > 1:
            names = ", ".join(str(file.relative_to(folder)) for file in same[:3])
            raise DataError(f"{folder}: several tables of boxes for one part ({names}); keep one of them")
    return found


def _csv(folder: Path) -> Iterator[Path]:
    for file in sorted(folder.iterdir()):
        if file.suffix.lower() == ".csv" and not is_leftover(file.name) and is_of_boxes(file):
            yield file


def _subset(
    name: str,
    folder: Path,
    rows: Sequence[tuple[_Table, BoxRow]],
    categories: Mapping[str, int],
    finder: Finder,
) -> Subset:
    records: dict[tuple[Path, str], ImageRecord] = {}
    for table, row in rows:
        key = table.folder, row.image
        if key not in records:
            file = _file(table, row.image, finder)
            size = row.size if min(row.size) > 0 else images.shown_size(folder / file)
            records[key] = ImageRecord(len(records) + 1, file.as_posix(), *size)
    found = [(records[table.folder, row.image], row, row.box) for table, row in rows]
    boxes = [(image, row, box) for image, row, box in found if box is not None]
    fractions = _are_fractions([box for _, _, box in boxes])
    annotations = []
    for number, (image, row, box) in enumerate(boxes, start=1):
        left, top, width, height = box
        if fractions:
            left, top = left * image.width, top * image.height
            width, height = width * image.width, height * image.height
        annotations.append(
            Annotation(
                number,
                image.id,
                categories[row.label],
                (left, top, width, height),
                width * height,
                row.crowd,
            )
        )
    files = sorted({table.file.relative_to(folder).as_posix() for table, _ in rows})
    return Subset(
        name=name,
        source=rows[0][0].file,
        root=folder,
        images=tuple(records.values()),
        annotations=tuple(annotations),
        categories=tuple(Category(id, title) for title, id in categories.items()),
        layout=f"table of boxes, {', '.join(files)}",
        notes=("boxes in fractions of their images",) if fractions else (),
    )


def _file(table: _Table, name: str, finder: Finder) -> Path:
    """The image that a row names, relative to the data set; one that is not there is a finding later on.

    Raises `DataError` for a name that leads outside.
    """
    root = finder.root
    for place in (table.file.parent, table.folder):
        if is_file(place / name):
            path = inside(place / name, root)
            return path.relative_to(root) if path.is_relative_to(root) else path
    below = table.folder.relative_to(root).parts
    return finder.find(name, below) or Path(*parts_of(name))


def _are_fractions(boxes: Sequence[tuple[float, float, float, float]]) -> bool:
    """Whether all boxes end before the first pixel does."""
    return bool(boxes) and all(left + width <= 1 and top + height <= 1 for left, top, width, height in boxes)
