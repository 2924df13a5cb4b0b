"""How long detectors are trained: by images seen, not by passes over them.

On a fold of the training images of two sets, EfficientNet-Lite0 as a detector reaches AP .322, .404 and .431
(raccoon) and .082, .189 and .309 (bccd) after 600, 1200 and 2400 images seen; a smaller detector gains as
much whether 2400 are 13 passes or 48. Source: ``experiments.detector_lengths``. From random weights
``fbnetv3a_dsmask_c4`` reaches .370 on raccoon after 4082 images and had reached .269 after 1256. Source:
``experiments.detector_table``.
"""

from __future__ import annotations

import math

from nars.space.values import Range, Value

__all__ = ["epochs", "passes", "passes_from_scratch"]

_SEEN = 2400
"""Images that a fine-tuning sees at least; more were not tried."""

_FEWEST, _MOST = 2, 48
"""Passes of a fine-tuning; more than 48 were not tried."""

_SEEN_FROM_SCRATCH, _FEWEST_FROM_SCRATCH = 4000, 24
"""Images that a training from random weights sees at least, and its fewest passes over them."""


def passes(images: int) -> int:
    """Passes of a fine-tuning over so many training images."""
    return min(_MOST, max(_FEWEST, math.ceil(_SEEN / max(images, 1))))


def passes_from_scratch(images: int) -> int:
    """Passes of a training from random weights over so many images."""
    return max(_FEWEST_FROM_SCRATCH, math.ceil(_SEEN_FROM_SCRATCH / max(images, 1)))


def epochs(images: int) -> Value:
    """Passes of candidates, which start from a detector: from a quarter of those of its fine-tuning."""
    most = passes(images)
    step = max(1, most // 4)
    return Range(low=most - step * min(3, (most - 1) // step), high=most, step=step)
