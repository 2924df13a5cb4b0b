"""The images of a step as a recipe chooses them: their order, mixing, and the weight of each class."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor
from torchvision.transforms import v2

from nars.data import ImageData, balanced, class_weights, shuffled
from nars.spec import Recipe

__all__ = ["drawn", "importances", "mixer"]


def mixer(recipe: Recipe, num_classes: int) -> Callable[[Tensor, Tensor], tuple[Tensor, Tensor]]:
    """Mixup and CutMix: a function from (images, labels) to (images, class probabilities).

    Without either in the recipe it returns both unchanged; with both, each batch takes one of them. It draws
    from PyTorch's global generator; see `nars.device.seeded`.
    """
    kinds = ((v2.MixUp, recipe.mixup), (v2.CutMix, recipe.cutmix))
    mixers = [kind(alpha=alpha, num_classes=num_classes) for kind, alpha in kinds if alpha]
    if not mixers:
        return lambda images, labels: (images, labels)
    mix: Callable[[Tensor, Tensor], tuple[Tensor, Tensor]]
    mix = mixers[0] if len(mixers) == 1 else v2.RandomChoice(mixers)
    return mix


def drawn(recipe: Recipe, labels: Tensor, generator: torch.Generator) -> tuple[Tensor, ...]:
    """The image numbers of an epoch in batches; `labels` [N] are those of the training images."""
    if recipe.balanced_sampling:
        return balanced(labels, recipe.batch_size, generator)
    return shuffled(len(labels), recipe.batch_size, generator)


def importances(recipe: Recipe, data: ImageData, device: torch.device) -> Tensor | None:
    """The weight [K] of each class in the loss, on `device`; None if all count the same.

    Classes that are drawn equally often need no weights.
    """
    if recipe.class_weights == "none" or recipe.balanced_sampling:
        return None
    return class_weights(data.train.labels, len(data.classes)).to(device)
