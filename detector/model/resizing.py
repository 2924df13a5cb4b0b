"""The size that an image is resized to."""

from __future__ import annotations

__all__ = ["resized"]


def resized(height: int, width: int, shortest: int, longest: int) -> tuple[int, int]:
    """Height and width with the shorter side at `shortest`, unless the longer passes `longest`.

    Rounded to whole pixels, halves up, never below 1 (as in detectron2, whose weights expect it).
    """
    scale = min(shortest / min(height, width), longest / max(height, width))
    return max(1, int(height * scale + 0.5)), max(1, int(width * scale + 0.5))
