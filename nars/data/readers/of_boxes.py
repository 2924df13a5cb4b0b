"""Recognises data sets of boxes in formats that detectors read, and says which commands take them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from nars.data.readers.box_columns import box_columns
from nars.data.readers.columns import Column, head_of
from nars.errors import DataError
from nars.foreign.names import is_leftover
from nars.foreign.paths import open_file, read_bytes

__all__ = ["REMEDY", "boxes_in"]

REMEDY = (
    "add --task detection to `nars search`; else use `nars detect train`, `nars detect evaluate` or "
    "`nars data check`"
)
"""The commands for boxes."""

_HEAD = 10_000
"""Bytes of a small file that are looked at."""

_MOST = 50
"""Files of a folder that are looked at."""

_DEPTH = 4
"""Levels of folders that are looked at: VOCdevkit/VOC2012/Annotations."""


def boxes_in(root: Path) -> str | None:
    """Name the format of a folder or file with boxes, and say what to do; None if there are none."""
    for file in _files(root):
        is_of_boxes, what = _FORMATS[file.suffix.lower()]
        try:
            if is_of_boxes(file):
                where = "" if file == root else f" ({file.relative_to(root)})"
                return f"{root} has boxes in {what}{where}, which are for detectors: {REMEDY}"
        except (OSError, DataError):
            continue
    return None


def _files(root: Path) -> Iterator[Path]:
    """Files with the suffixes of annotations: those of a data set, or the file itself."""
    if not root.is_dir():
        yield from [root] if root.suffix.lower() in _FORMATS else []
        return
    places = [root]
    for _ in range(_DEPTH):
        inside = {place: _entries(place) for place in places}
        for entries in inside.values():
            yield from [entry for entry in entries if entry.suffix.lower() in _FORMATS][:_MOST]
        places = [entry for entries in inside.values() for entry in entries if entry.is_dir()][:_MOST]


def _entries(place: Path) -> list[Path]:
    """The entries of a folder in order, without leftovers of a system; none if it cannot be listed."""
    try:
        return sorted(entry for entry in place.iterdir() if not is_leftover(entry.name))
    except OSError:
        return []


def _is_coco(file: Path) -> bool:
    content = read_bytes(file)
    has_boxes = b'"bbox"' in content or b'"segmentation"' in content
    return has_boxes and b'"images"' in content and b'"annotations"' in content


def _is_voc(file: Path) -> bool:
    text = _head(file)
    return "<annotation" in text and "<bndbox>" in text


def _is_yolo(file: Path) -> bool:
    """Whether the first line is the number of a class and four or more fractions of the image."""
    number, *values = next(iter(_head(file).splitlines()), "").split() or [""]
    try:
        return number.isdecimal() and len(values) >= 4 and all(0 <= float(value) <= 1 for value in values)
    except ValueError:
        return False


def _is_table(file: Path) -> bool:
    columns = {name.lower(): Column(file, name, ()) for name in head_of(file)}
    return bool(box_columns(columns)[0])


_FORMATS = {
    ".json": (_is_coco, "COCO's format"),
    ".xml": (_is_voc, "Pascal VOC's format"),
    ".txt": (_is_yolo, "YOLO's format"),
    ".csv": (_is_table, "a table"),
}
"""How files of each suffix are recognised, and their format."""


def _head(file: Path) -> str:
    with open_file(file) as stream:
        return stream.read(_HEAD).decode(errors="replace")
