"""Chooses the parent of a search if the user names none."""

from __future__ import annotations

from typing import NamedTuple

from nars.data import ImageSize
from nars.parents.lite import has_lite

__all__ = ["AUTOMATIC", "ParentChoice", "choose_parent"]

AUTOMATIC = "efficientnet_lite0"
"""The parent of photos."""

_LEAST_SIDE = 48
"""Median side, in pixels, below which images have too little detail for weights that were made for 224."""


class ParentChoice(NamedTuple):
    """The name of a parent, or ``none``, and the reason for it."""

    name: str
    reason: str


def choose_parent(images: ImageSize | None) -> ParentChoice:
    """The parent that suits images of this size; `images` is None for a task that cannot inherit."""
    if images is None:
        return ParentChoice("none", "the task starts from random weights")
    if images.channels != 3:
        return ParentChoice("none", "the images are grey")
    if images.side < _LEAST_SIDE:
        return ParentChoice("none", f"images of {images.side} pixels, fewer than {_LEAST_SIDE}")
    if not has_lite(AUTOMATIC):
        return ParentChoice("none", f"{AUTOMATIC} is not installed: pip install 'nars[pretrained]'")
    return ParentChoice(AUTOMATIC, f"colour images of {images.side} pixels")
