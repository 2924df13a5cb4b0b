"""Channel arithmetic of the FBNetV3 blocks, for numbers and for arrays alike.

Source: the rounding and squeeze rules of the published networks
(facebookresearch/mobile-vision, ``fbnet_v2``), in which every width is a multiple of 8.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

__all__ = ["hidden_width", "round8", "squeeze_width"]

_SQUEEZE_RATIO = 0.25
"""Channels inside squeeze-and-excitation as a share of those around it."""


def round8(width: ArrayLike) -> NDArray[np.int64]:
    """The multiple of 8 nearest to `width`, halves up; the next one if that loses over 5 %."""
    target = np.asarray(width, dtype=np.float64)
    nearest = np.maximum(8, np.floor((target + 4) / 8) * 8)
    return np.asarray(np.where(nearest < 0.95 * target, nearest + 8, nearest), dtype=np.int64)


def hidden_width(in_channels: ArrayLike, expansion: ArrayLike) -> NDArray[np.int64]:
    """Channels between the 1x1 expansion and the 1x1 projection."""
    return round8(np.asarray(in_channels) * np.asarray(expansion, dtype=np.float64))


def squeeze_width(hidden: ArrayLike, expansion: ArrayLike, of_hidden: ArrayLike) -> NDArray[np.int64]:
    """Channels inside squeeze-and-excitation.

    A quarter of the hidden channels if `of_hidden`, else that divided by the expansion,
    which is about a quarter of the block's input.
    """
    divisor = np.where(of_hidden, 1.0, np.asarray(expansion, dtype=np.float64))
    return round8(np.floor(np.asarray(hidden) * (_SQUEEZE_RATIO / divisor)))
