"""How a parent is fine-tuned on the data of a search before the first candidate; it becomes the reference.

A task whose candidates are no classifiers has a `FineTuning` of its own.
"""

from __future__ import annotations

from abc import abstractmethod
from typing import Annotated

from pydantic import Field

from nars.documents import Frozen
from nars.space.base import SearchSpace
from nars.spec import Recipe

__all__ = ["EPOCHS", "FINE_TUNING", "FineTuning", "Reference", "filled_side", "reference_of"]

EPOCHS = 6
"""Epochs of a fine-tuning unless others are asked for, or the photos are few (`nars.searching.steps`)."""

FINE_TUNING = Recipe(
    lr=0.05,
    batch_size=32,
    ema=True,
    ema_decay=0.99,
    label_smoothing=0.1,
    augmentation="flip",
    crop_area=0.5,
)
"""The recipe of every fine-tuning of a classifier; only its epochs are chosen."""


class FineTuning(Frozen):
    """How a parent is fine-tuned on the data."""

    resolution: Annotated[int, Field(ge=1)]
    """The side, in pixels, of the images that it is trained on; of photos that are no squares the shorter."""

    @property
    @abstractmethod
    def epochs(self) -> int:
        """Passes over the training images."""

    @abstractmethod
    def for_epochs(self, epochs: int) -> FineTuning:
        """The same for another time."""


class Reference(FineTuning):
    """How a classifier is fine-tuned on the data."""

    recipe: Recipe

    @property
    def epochs(self) -> int:
        return self.recipe.epochs

    def for_epochs(self, epochs: int) -> Reference:
        return self.model_copy(update={"recipe": self.recipe.replace(epochs=epochs)})


def reference_of(space: SearchSpace, side: int, epochs: int) -> Reference:
    """The fine-tuning for a search in `space` over images of a median `side` in pixels.

    Its resolution is the largest of the space that the images fill, or else the smallest of the space. The
    recipe is one that fine-tunes EfficientNet-Lite0 well on a few thousand photos in `epochs` epochs.
    """
    return Reference(resolution=filled_side(space, side), recipe=FINE_TUNING.replace(epochs=epochs))


def filled_side(space: SearchSpace, side: int) -> int:
    """The largest resolution of a space that images of `side` pixels fill, or else its smallest."""
    offered = space.sides
    return max((resolution for resolution in offered if resolution <= side), default=min(offered))
