"""The size that an image is resized to."""

from __future__ import annotations

__all__ = ["resized"]


def resized(height: int, width: int, shortest: int, longest: int) -> tuple[int, int]:
    """Scale height and width to a shorter side of `shortest`, or less if the longer exceeds `longest`.

    Sides are rounded to whole pixels, halves up, and at least 1, as in detectron2.
    """
    scale = min(shortest / min(height, width), longest / max(height, width))
    return max(1, int(height * scale + 0.5)), max(1, int(width * scale + 0.5))
