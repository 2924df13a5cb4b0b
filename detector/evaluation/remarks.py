"""Says what COCO's measure leaves out of a split, since its numbers do not show it."""

from __future__ import annotations

from collections import Counter

from detector.data.records import Subset

__all__ = ["remarks"]

_COUNTED = 100
"""Detections of an image that AP and recall count, by COCO's rules."""

_SMALL, _LARGE = 32**2, 96**2
"""Areas in square pixels up to which objects are small, and from which they are large."""


def remarks(subset: Subset) -> list[str]:
    """Sentences about crowded images and about ranges of sizes without an object; empty without either."""
    objects = [annotation for annotation in subset.annotations if not annotation.crowd]
    counts = Counter(annotation.image_id for annotation in objects)
    crowded = [count for count in counts.values() if count > _COUNTED]
    said = []
    if crowded:
        have = "has" if len(crowded) == 1 else "have"
        images = f"{len(crowded)} of {len(subset.images)} {subset.name} images {have} more objects"
        rule = f"AP and recall count {_COUNTED} detections an image, the surest"
        said.append(f"{rule}; {images} (up to {max(crowded)})")
    if objects and (missing := _missing([annotation.area for annotation in objects])):
        said.append(f"no {' and no '.join(missing)} objects in {subset.name}: their AP is not measured")
    return said


def _missing(areas: list[float]) -> list[str]:
    """The ranges of sizes without an object."""
    there = {
        "small": any(area <= _SMALL for area in areas),
        "medium": any(_SMALL <= area <= _LARGE for area in areas),
        "large": any(area >= _LARGE for area in areas),
    }
    return [name for name, some in there.items() if not some]
