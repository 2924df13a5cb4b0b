"""Faults of one annotation: a box, a category or a mask that cannot be trained on."""

from __future__ import annotations

from collections.abc import Iterator
from math import inf

from detector.data import masks
from detector.data.findings import Finding
from detector.data.records import Annotation, ImageRecord, Subset

__all__ = ["findings"]

_OVERHANG = 1.0
"""Pixels by which a box may reach over the border, because many tools round."""


def findings(subset: Subset) -> Iterator[Finding]:
    """The faults of the annotations of a part, one by one."""
    records = {image.id: image for image in subset.images}
    categories = {category.id for category in subset.categories}
    for index, annotation in enumerate(subset.annotations):
        image = records.get(annotation.image_id)
        for code, message in _annotation_faults(annotation, image, categories):
            file = str(subset.source if image is None else subset.path(image))
            yield Finding(code, subset.name, file, message, annotation.id, index)


def _annotation_faults(
    annotation: Annotation, image: ImageRecord | None, categories: set[int]
) -> Iterator[tuple[str, str]]:
    """Yield codes and messages; at most one of them is a reason to drop the annotation."""
    if image is None:
        yield "annotation-without-image", f"there is no image with id {annotation.image_id}"
        return
    if not categories:  # which is a finding of its own
        return
    if annotation.category_id not in categories:
        yield "category-unknown", f"there is no category with id {annotation.category_id}"
        return
    fault = _box_fault(annotation.box, image)
    if fault:
        yield fault
    if fault and fault[0] != "box-overhang":
        return
    if annotation.crowd:
        yield "crowd", "not trained on, ignored in evaluation"
    if annotation.segmentation is not None and image.width:
        reason = masks.fault(annotation.segmentation, image.height, image.width)
        if reason:
            yield "mask-malformed", reason


def _box_fault(box: tuple[float, float, float, float], image: ImageRecord) -> tuple[str, str] | None:
    left, top, width, height = box
    right, bottom = left + width, top + height
    starts_inside = 0 <= left < image.width and 0 <= top < image.height and right > left and bottom > top
    if starts_inside and right <= image.width and bottom <= image.height:
        return None  # true of nearly all boxes; false of NaN and infinity
    shown = f"box {', '.join(f'{number:g}' for number in box)}"
    if not all(abs(number) < inf for number in box):
        return "box-nonfinite", f"{shown} is not finite"
    if right <= left or bottom <= top:
        return "box-empty", f"{shown} has no area"
    if not image.width:  # no size is stated, which is a finding of its own
        return None
    if left >= image.width or top >= image.height or right <= 0 or bottom <= 0:
        return "box-outside", f"{shown} is outside the image of {image.width}x{image.height}"
    if max(-left, -top, right - image.width, bottom - image.height) <= _OVERHANG:
        return None
    return "box-overhang", f"{shown} reaches over the border of {image.width}x{image.height}"
