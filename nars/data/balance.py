"""Balances classes of unequal size: by how often their images are drawn, or how much they count."""

from __future__ import annotations

import torch
from torch import Tensor

from nars.data.images import in_groups

__all__ = ["balanced", "class_weights"]


def balanced(labels: Tensor, batch_size: int, generator: torch.Generator) -> tuple[Tensor, ...]:
    """As many image numbers as `labels` [N], drawn with replacement so that every class is equally likely.

    They come in groups of at most `batch_size`, like those of `nars.data.shuffled`.
    """
    chances = 1 / torch.bincount(labels)[labels].double()
    drawn = torch.multinomial(chances, len(labels), replacement=True, generator=generator)
    return in_groups(drawn, batch_size)


def class_weights(labels: Tensor, classes: int) -> Tensor:
    """Weights [K], inverse to the images of each class; their mean over the images of `labels` [N] is 1.

    A class without images has weight 1. Source: King, Zeng, "Logistic Regression in Rare Events Data" (2001).
    """
    counts = torch.bincount(labels, minlength=classes)
    present = int((counts > 0).sum())
    return torch.where(counts > 0, len(labels) / (present * counts.clamp_min(1)), 1.0)
