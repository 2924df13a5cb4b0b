"""Faults of whole sets that no record shows alone: corners or fractions for sizes, and copies."""

from __future__ import annotations

from collections.abc import Iterator
from math import isfinite

from detector.data.faults.small_boxes import FINEST, is_seen
from detector.data.findings import Finding
from detector.data.records import Annotation, Subset

__all__ = ["subset_findings"]

_CORNERS = 0.9
"""Share of the boxes that have to be corners before all of such boxes are taken for them."""

_TOLERANCE = 0.02
"""Share of an area, besides a square pixel, by which it may be off because of rounding."""

_SHORTEST, _LONGEST = 320, 464
"""The largest sides, in pixels, that images have in trainings of the space ``fbnetv3od``."""


def subset_findings(subset: Subset) -> Iterator[Finding]:
    """Boxes that are corners or fractions, areas that boxes cannot have, copies, and too small boxes."""
    sizes = {image.id: (image.width, image.height) for image in subset.images}
    files = {image.id: str(subset.path(image)) for image in subset.images}
    corners = _corners(subset, sizes)
    fractions = _fractions(subset, sizes)
    seen: set[tuple[int, int, tuple[float, float, float, float]]] = set()
    for index, annotation in enumerate(subset.annotations):
        if annotation.image_id not in files:
            continue
        key = annotation.image_id, annotation.category_id, annotation.box
        faults: list[tuple[str, str] | None] = []
        if index in corners:
            faults = [_corner_fault(annotation)]
        elif index in fractions:
            faults = [_fraction_fault(annotation)]
        else:
            faults = [_area_fault(annotation), _small_fault(annotation, sizes[annotation.image_id])]
            faults += [("box-duplicate", "the same box of the same category again")] if key in seen else []
        seen.add(key)
        for fault in filter(None, faults):
            yield Finding(fault[0], subset.name, files[annotation.image_id], fault[1], annotation.id, index)


def _corners(subset: Subset, sizes: dict[int, tuple[int, int]]) -> set[int]:
    """Positions of boxes that are two corners: all of a part, or none.

    All boxes have to be possible corners, and nearly all to have the area of corners, or half to leave their
    images if they are taken for sizes.
    """
    by_area = leaving = 0
    for annotation in subset.annotations:
        left, top, right, bottom = annotation.box
        width, height = sizes.get(annotation.image_id, (0, 0))
        if not (0 <= left < right <= width + 1 and 0 <= top < bottom <= height + 1):
            return set()
        area = annotation.area
        by_area += _close(area, (right - left) * (bottom - top)) and not _close(area, right * bottom)
        leaving += left + right > width + 1 or top + bottom > height + 1
    count = len(subset.annotations)
    likely = count > 1 and (by_area >= _CORNERS * count or leaving >= count / 2)
    return set(range(count)) if likely else set()


def _fractions(subset: Subset, sizes: dict[int, tuple[int, int]]) -> set[int]:
    """Positions of boxes that are fractions of their images: all of a part that have an area, or none.

    Azure's data labeling writes such boxes, unless it is asked for absolute coordinates. All lie in the
    first pixel of their images then.
    """
    boxes = {index: annotation.box for index, annotation in enumerate(subset.annotations)}
    found = {index for index, (_, _, width, height) in boxes.items() if width > 0 and height > 0}
    known = [side for size in sizes.values() for side in size if side]  # a file may be missing
    if len(found) < 2 or min(known, default=0) <= 1:
        return set()
    largest = 1 + _TOLERANCE
    for left, top, width, height in map(boxes.__getitem__, found):
        if not (0 <= left <= left + width <= largest and 0 <= top <= top + height <= largest):
            return set()
    return found


def _fraction_fault(annotation: Annotation) -> tuple[str, str]:
    shown = ", ".join(f"{number:.3g}" for number in annotation.box)
    return "box-fractions", f"box {shown}: a fraction of its image, as all others; expected pixels"


def _corner_fault(annotation: Annotation) -> tuple[str, str]:
    shown = ", ".join(f"{number:g}" for number in annotation.box)
    return (
        "box-corners",
        f"box {shown}: left, top, right, bottom, by its area and the others; expected width and height",
    )


def _area_fault(annotation: Annotation) -> tuple[str, str] | None:
    """A negative area, or one that the box cannot have; that of a mask may be smaller."""
    width, height = annotation.box[2:]
    area, box = annotation.area, width * height
    if width <= 0 or height <= 0 or not isfinite(box):
        return None
    if not isfinite(area) or area < 0:
        return "box-area", f"area {area:g} is negative or no number, so that evaluations ignore the object"
    if area > box and not _close(area, box):
        return "box-area", f"area {area:g} is larger than the box, {width:g} x {height:g}"
    if annotation.segmentation is None and not annotation.crowd and not _close(area, box):
        return "box-area", f"area {area:g} is not that of the box, {width:g} x {height:g}"
    return None


def _small_fault(annotation: Annotation, size: tuple[int, int]) -> tuple[str, str] | None:
    width, height = annotation.box[2:]
    if not (width > 0 and height > 0):
        return None
    if min(width, height) < 1:
        return "box-tiny", f"the box is {width:g} x {height:g}: a side is below a pixel"
    if min(size) > 0:
        scale = min(_SHORTEST / min(size), _LONGEST / max(size))
        if not is_seen(width * scale, height * scale, FINEST):
            return "box-small", (
                f"the box is {width:g} x {height:g} of {size[0]}x{size[1]}, so {width * scale:.2g} x "
                f"{height * scale:.2g} pixels at the largest training size, {_SHORTEST}: too small for the "
                f"finest anchors, of {FINEST:g} pixels"
            )
    return None


def _close(area: float, other: float) -> bool:
    return abs(area - other) <= 1 + _TOLERANCE * abs(other)
