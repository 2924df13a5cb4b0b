"""Faults of whole sets that no record shows alone: corners or fractions for sizes, and copies."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from math import isfinite
from typing import NamedTuple

from detector.data.faults.small_boxes import FINEST, is_seen
from detector.data.findings import Finding
from detector.data.records import Annotation, Subset

__all__ = ["findings"]

_CORNERS = 0.9
"""Share of the boxes that have to be corners before all of such boxes are taken for them."""

_TOLERANCE = 0.02
"""Share of an area, besides a square pixel, by which it may be off because of rounding."""

_SHORTEST, _LONGEST = 320, 464
"""The largest sides, in pixels, that images have in trainings of the space ``fbnetv3od``."""


class _Corners(NamedTuple):
    """Evidence that all boxes of a part are two corners; none if one of them cannot be."""

    boxes: int = 0
    by_area: bool = False
    """Whether nearly all have the area of corners."""
    leaving: bool = False
    """Whether half leave their images if they are taken for sizes."""

    @property
    def are_likely(self) -> bool:
        """Whether the part alone is enough to tell."""
        return self.boxes > 1 and (self.by_area or self.leaving)


def findings(subsets: Sequence[Subset]) -> Iterator[Finding]:
    """Boxes that are corners or fractions, areas that boxes cannot have, copies, and too small boxes.

    One tool has written all parts: boxes of a part that are too few to tell are what those of another are.
    """
    corners, fractions = list(map(_corners, subsets)), list(map(_fractions, subsets))
    likely = [part for part in corners if part.are_likely]
    by_area = any(part.by_area for part in likely)
    are_fractions = any(len(part) > 1 for part in fractions)
    for subset, part, fraction in zip(subsets, corners, fractions, strict=True):
        are_corners = part.are_likely or (bool(likely) and part.boxes > 0 and (part.by_area or not by_area))
        yield from _subset_findings(
            subset, range(part.boxes if are_corners else 0), fraction if are_fractions else set()
        )


def _subset_findings(
    subset: Subset, corners: Collection[int], fractions: Collection[int]
) -> Iterator[Finding]:
    """The findings of a part, of which the boxes at some positions are corners or fractions."""
    sizes = _sizes(subset)
    files = {image.id: str(subset.path(image)) for image in subset.images}
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


def _sizes(subset: Subset) -> dict[int, tuple[int, int]]:
    """Width and height of each image by its id."""
    return {image.id: (image.width, image.height) for image in subset.images}


def _corners(subset: Subset) -> _Corners:
    sizes = _sizes(subset)
    by_area = leaving = 0
    for annotation in subset.annotations:
        left, top, right, bottom = annotation.box
        width, height = sizes.get(annotation.image_id, (0, 0))
        if not (0 <= left < right <= width + 1 and 0 <= top < bottom <= height + 1):
            return _Corners()
        area = annotation.area
        by_area += _close(area, (right - left) * (bottom - top)) and not _close(area, right * bottom)
        leaving += left + right > width + 1 or top + bottom > height + 1
    count = len(subset.annotations)
    return _Corners(count, by_area >= _CORNERS * count, leaving >= count / 2)


def _fractions(subset: Subset) -> set[int]:
    """Positions of boxes that may be fractions of their images: all of a part that have an area, or none.

    Azure's data labeling writes such boxes, unless it is asked for absolute coordinates. All lie in the
    first pixel of their images then.
    """
    boxes = {index: annotation.box for index, annotation in enumerate(subset.annotations)}
    found = {index for index, (_, _, width, height) in boxes.items() if width > 0 and height > 0}
    known = [side for size in _sizes(subset).values() for side in size if side]  # a file may be missing
    if min(known, default=0) <= 1:
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
