"""The size that an image is resized to."""

from __future__ import annotations

import math

__all__ = ["longest", "own_side", "resized"]

_SHORTEST, _LONGEST = 224, 320
"""Pixels of the shorter side of an image in the published detectors, and most of the longer side."""

_STEP = 16
"""Most of a longer side is a multiple of this many pixels."""


def resized(height: int, width: int, shortest: int, longest: int) -> tuple[int, int]:
    """Scale height and width to a shorter side of `shortest`, or less if the longer exceeds `longest`.

    Sides are rounded to whole pixels, halves up, and at least 1, as in detectron2.
    """
    scale = min(shortest / min(height, width), longest / max(height, width))
    return max(1, int(height * scale + 0.5)), max(1, int(width * scale + 0.5))


def longest(shorter: int) -> int:
    """The most pixels of the longer side for a shorter one, in proportion as published."""
    return math.ceil(shorter * _LONGEST / _SHORTEST / _STEP) * _STEP


def own_side(height: int, width: int) -> int:
    """The shorter side that resizes an image to about its own size if `longest` bounds the longer one.

    It is more than the image's if that is far wider than high, or higher than wide.
    """
    return max(min(height, width), math.floor(max(height, width) * _SHORTEST / _LONGEST))
