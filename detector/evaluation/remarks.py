"""Says what the scores of a split leave out without showing it."""

from __future__ import annotations

from collections import Counter, defaultdict

from detector.data.records import Subset
from detector.model.settings import Settings

__all__ = ["remarks"]

_COUNTED = 100
"""Detections of a class in an image that AP and recall count, by COCO's rules."""

_SMALL, _LARGE = 32**2, 96**2
"""Areas in square pixels up to which objects are small, and from which they are large."""


def remarks(subset: Subset, settings: Settings) -> list[str]:
    """Sentences about crowded images and about ranges of sizes without an object; empty without either.

    An image is crowded if it has more objects than a detector of these settings gives, or than COCO counts.
    """
    objects = [annotation for annotation in subset.annotations if not annotation.crowd]
    by_image: dict[int, Counter[int]] = defaultdict(Counter)
    for annotation in objects:
        by_image[annotation.image_id][annotation.category_id] += 1
    regions, kept = settings.test_proposals, settings.detections
    limit = f"looks at {regions} regions" if regions <= kept else f"keeps {kept} detections"
    setting = "test_proposals" if regions <= kept else "detections"
    said = []
    if crowded := [n for n in map(Counter.total, by_image.values()) if n > min(regions, kept)]:
        said.append(f"the detector {limit} of an image ({setting}); {_have_more(crowded, subset)}")
    elif crowded := [n for n in (max(counts.values()) for counts in by_image.values()) if n > _COUNTED]:
        rule = f"AP and recall count {_COUNTED} detections of a class in an image, the surest"
        said.append(f"{rule}; {_have_more(crowded, subset)}")
    if objects and (missing := _missing([annotation.area for annotation in objects])):
        said.append(f"no {' and no '.join(missing)} objects in {subset.name}: their AP is not measured")
    return said


def _have_more(counts: list[int], subset: Subset) -> str:
    """The end of a sentence about images with so many objects."""
    have = "has" if len(counts) == 1 else "have"
    images = f"{len(counts)} of {len(subset.images)} {subset.name} images"
    return f"{images} {have} more objects (up to {max(counts)})"


def _missing(areas: list[float]) -> list[str]:
    """The ranges of sizes without an object."""
    there = {
        "small": any(area <= _SMALL for area in areas),
        "medium": any(_SMALL <= area <= _LARGE for area in areas),
        "large": any(area >= _LARGE for area in areas),
    }
    return [name for name, some in there.items() if not some]
