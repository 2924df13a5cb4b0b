"""Chooses the parent of a search if the user names none."""

from __future__ import annotations

from typing import NamedTuple

from nars.data import ImageSize
from nars.errors import WeightsError
from nars.parents.alignment import streams
from nars.parents.parent import Parent
from nars.parents.published.lite import has_lite
from nars.parents.sources import parent
from nars.spec import Architecture

__all__ = ["AUTOMATIC", "ParentChoice", "check_inherits", "choose_parent", "parent_for"]

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


def parent_for(architecture: Architecture, images: ImageSize) -> ParentChoice:
    """The parent that suits the images if a network of this architecture can inherit from it, else none."""
    choice = choose_parent(images)
    origin = parent(choice.name)
    reason = None if origin is None else _obstacle(architecture, origin)
    return choice if reason is None else ParentChoice("none", reason)


def check_inherits(architecture: Architecture, origin: Parent) -> None:
    """Raise `WeightsError`, with the remedy, if this architecture cannot inherit from a parent."""
    reason = _obstacle(architecture, origin)
    if reason is not None:
        remedy = f"give --init none, or a network that a search with --init {origin.source} has found"
        raise WeightsError(f"{reason}; {remedy}")


def _obstacle(architecture: Architecture, origin: Parent) -> str | None:
    """Why a network of this architecture cannot inherit from a parent; None if it can."""
    try:
        streams(architecture, origin.architecture)
    except WeightsError as error:
        return f"{architecture.name} cannot inherit from {origin.source}: {error}"
    return None
