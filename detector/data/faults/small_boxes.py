"""Boxes that are too small for the finest anchors at the size at which a detector sees its images."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from detector.data.records import Annotation, ImageRecord, Subset

__all__ = ["FINEST", "is_seen", "side_that_shows", "unseen"]

FINEST = 8.0
"""Side, in pixels, of the finest square anchor of a feature pyramid, whose finest map has a stride of 4."""

_RATIOS = (0.5, 1.0, 2.0)
"""Height over width of the finest anchors."""

_SEEN = 0.3
"""Overlap (IoU) with the best anchor below which an anchor is trained as background."""

_STEP, _MOST = 32, 4096
"""Shorter sides that are offered, in pixels: their step, and the largest."""

Small = tuple[Annotation, ImageRecord]
"""A box, and the image that it is in."""


def is_seen(width: float, height: float, finest: float) -> bool:
    """Whether a box overlaps enough with a finest anchor of the same centre, or is larger than those.

    Everything is in pixels of the resized image; `finest` is the side of the finest square anchor.
    """
    area = finest**2
    if width * height >= area:
        return True
    for ratio in _RATIOS:
        common = min(width, finest / ratio**0.5) * min(height, finest * ratio**0.5)
        if common >= _SEEN * (width * height + area - common):
            return True
    return False


def unseen(subset: Subset, side: int, longest: Callable[[int], int], finest: float) -> list[Small]:
    """The boxes that are not seen in images of `side` pixels, the shorter, and `longest(side)` at most."""
    return [pair for pair in _boxes(subset) if not _is_seen_at(pair, side, longest, finest)]


def side_that_shows(boxes: list[Small], longest: Callable[[int], int], finest: float) -> int | None:
    """The least shorter side, in pixels, at which all `boxes` are seen; None if none below 4096 does."""
    sides = range(_STEP, _MOST + 1, _STEP)
    return next(
        (side for side in sides if all(_is_seen_at(pair, side, longest, finest) for pair in boxes)), None
    )


def _boxes(subset: Subset) -> Iterator[Small]:
    images = {image.id: image for image in subset.images}
    for annotation in subset.annotations:
        if not annotation.crowd:
            yield annotation, images[annotation.image_id]


def _is_seen_at(pair: Small, side: int, longest: Callable[[int], int], finest: float) -> bool:
    annotation, image = pair
    shorter, longer = sorted((image.width, image.height))
    scale = min(side / shorter, longest(side) / longer)
    return is_seen(annotation.box[2] * scale, annotation.box[3] * scale, finest)
