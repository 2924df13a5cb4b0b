"""The contract of a split: its images in whole batches, wherever they are kept."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor

from nars.data.pictures import Fit

__all__ = ["ImageSize", "Split"]


class ImageSize(NamedTuple):
    """The size of a split's images, for the choice of a search space."""

    side: int
    """Median of the shorter sides in pixels, from a sample of the images; 256 stands for that and more."""
    channels: int
    """1 if the images are held in grey, else 3."""


class Split(ABC):
    """One of train, val and test: `labels` int64 [N] on the CPU, and the images they belong to."""

    labels: Tensor
    size: ImageSize
    refit: Callable[[Fit], Split] | None = None
    """Makes the same split with its pictures as squares of another kind; None for images that are squares."""

    def fitted(self, fit: Fit) -> Split:
        """The same images, if they come from pictures, as squares of the kind `fit`."""
        return self if self.refit is None else self.refit(fit)

    def __len__(self) -> int:
        return len(self.labels)

    @abstractmethod
    def batches(
        self,
        resolution: int,
        device: torch.device,
        groups: Sequence[Tensor],
        crops: Sequence[Tensor] | None = None,
    ) -> Iterator[tuple[Tensor, Tensor]]:
        """Yield (images uint8 [B, 1 or 3, R, R], labels int64 [B]) on `device` for each group of numbers.

        `crops` has boxes [B, 4] for each group, in 0..1 (left, top, right, bottom): the parts of the stored
        images to show, by default all.
        """

    @abstractmethod
    def summary(self) -> dict[str, Any]:
        """The way the images are kept: side, channels, bytes."""

    @abstractmethod
    def sample(self) -> Tensor:
        """Images uint8 [N, 1 or 3, H, W]: all, or enough for their mean and deviation."""
