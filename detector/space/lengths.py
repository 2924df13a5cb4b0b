"""How long detectors are trained that start from weights: by images seen, not by passes over them.

The numbers were set by eight passes over raccoon's 157 photos, looking at its val images. They should rest on
folds of training images, on which ``experiments.detector_lengths`` measures lengths; that is not finished.
"""

from __future__ import annotations

import math

from nars.space.values import Range, Value

__all__ = ["epochs", "passes"]

_SEEN = 1250
"""Images that a fine-tuning sees at least: eight passes over 157 photos."""

_FEWEST, _MOST = 2, 24
"""Passes of a fine-tuning. Few photos are seen too often to gain from more passes."""


def passes(images: int) -> int:
    """Passes of a fine-tuning over so many training images."""
    return min(_MOST, max(_FEWEST, math.ceil(_SEEN / max(images, 1))))


def epochs(images: int) -> Value:
    """Passes of candidates, which start from a detector: from a quarter of those of its fine-tuning."""
    most = passes(images)
    step = max(1, most // 4)
    return Range(low=most - step * min(3, (most - 1) // step), high=most, step=step)
