"""Converts segmentations to masks and back, by pycocotools."""

from __future__ import annotations

from math import inf
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pycocotools import mask as coco_mask

from detector.data.records import CocoData, Segmentation
from nars.errors import DataError
from nars.foreign.limits import MOST_COORDINATE

__all__ = ["check_masks", "decode", "encode", "fault"]


def check_masks(data: CocoData) -> None:
    """Raise `DataError` with the first object that has no segmentation, or none that could be read.

    Crowds need none.
    """
    for subset in data.subsets:
        for image in subset.images:
            for annotation in subset.by_image[image.id]:
                if annotation.segmentation is None and not annotation.crowd:
                    where = f"{subset.path(image)}: annotation {annotation.id}"
                    raise DataError(
                        f"{where} has no segmentation, or a malformed one, to learn masks from: "
                        "mend or delete it, or leave out --mask"
                    )


def decode(segmentation: Segmentation, height: int, width: int) -> NDArray[np.uint8]:
    """Return the mask [H, W] of 0 and 1. Raises `DataError` if `fault` finds one."""
    reason = fault(segmentation, height, width)
    if reason:
        raise DataError(f"segmentation: {reason}")
    if isinstance(segmentation, list):
        code = coco_mask.merge(coco_mask.frPyObjects(segmentation, height, width))
    elif isinstance(segmentation["counts"], list):
        code = coco_mask.frPyObjects(segmentation, height, width)
    else:
        code = segmentation
    mask: NDArray[np.uint8] = coco_mask.decode(code)
    return mask


def encode(mask: NDArray[Any]) -> dict[str, Any]:
    """Return a mask [H, W], zero outside the object, as a compressed run-length code for JSON."""
    code = coco_mask.encode(np.asfortranarray(mask != 0, dtype=np.uint8))
    return {"size": [int(side) for side in code["size"]], "counts": code["counts"].decode("ascii")}


def fault(segmentation: object, height: int, width: int) -> str | None:
    """Say why a segmentation cannot be a mask of this size; None if it can."""
    if isinstance(segmentation, dict):
        return _code_fault(segmentation, height, width)
    if not isinstance(segmentation, list) or not segmentation:
        return "neither polygons nor a run-length code"
    for polygon in segmentation:
        if not isinstance(polygon, list) or len(polygon) < 6 or len(polygon) % 2:
            return "a polygon needs three or more x, y pairs"
        if not _is_numeric(polygon):
            return "a polygon holds something else than numbers of pixels"
    return None


def _is_numeric(polygon: list[Any]) -> bool:
    """Whether all entries are coordinates in pixels. No Python loop: COCO has 50 million of them."""
    try:
        return bool(max(map(abs, polygon)) < MOST_COORDINATE and sum(map(abs, polygon)) < inf)
    except TypeError:
        return False


def _code_fault(code: dict[str, Any], height: int, width: int) -> str | None:
    size, counts = code.get("size"), code.get("counts")
    if size != [height, width]:
        return f"the run-length code is of size {size}, the image of {[height, width]}"
    if isinstance(counts, list):
        if all(isinstance(run, int) and run >= 0 for run in counts) and sum(counts) == height * width:
            return None
        return "the runs do not add up to the image"
    if not isinstance(counts, str):
        return "a run-length code needs counts"
    return None if _length(counts) == height * width else "the compressed runs do not add up to the image"


def _length(counts: str) -> int:
    """Return how many pixels a compressed run-length code covers; -1 if it is malformed.

    pycocotools writes past its buffer if a code is longer than its image, so every code from
    outside is measured first. The format is that of pycocotools' rleToString: six bits per
    character, counted from 48 (bit 5: more follow); from the third run on, the difference to
    the run two before.
    """
    runs: list[int] = []
    value = shift = 0
    for character in counts:
        bits = ord(character) - 48
        if not 0 <= bits < 64:
            return -1
        value |= (bits & 31) << shift
        shift += 5
        if bits & 32:
            continue
        if bits & 16:
            value -= 1 << shift
        runs.append(value + (runs[-2] if len(runs) > 2 else 0))
        if runs[-1] < 0:
            return -1
        value = shift = 0
    return sum(runs) if shift == 0 else -1
