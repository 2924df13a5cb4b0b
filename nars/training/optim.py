"""Builds what a recipe chooses of a training: optimizer, schedule, averaging, mixing, order of images."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn, optim
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn
from torchvision.transforms import v2

from nars.data import ImageData, balanced, class_weights, shuffled
from nars.spec import Recipe
from nars.training.stages import groups_by_stage

__all__ = ["averaged", "drawn", "importances", "learning_rate", "mixer", "optimizer", "set_learning_rate"]

_Tensors = tuple[Tensor, ...] | list[Tensor]

_RMSPROP_ALPHA, _RMSPROP_EPS = 0.9, 0.0316
"""Decay and epsilon with which MobileNetV3 and its successors train under RMSProp. The epsilon is the
square root of theirs, because PyTorch adds it outside the root. Source: EfficientNet (ICML 2019),
section 5.2; torchvision's classification reference."""


def optimizer(model: nn.Module, recipe: Recipe) -> optim.Optimizer:
    """The recipe's optimizer; weight decay leaves out norms and biases, the vectors of a model.

    A group's ``share`` is its part of the learning rate. Raises `UsageError` for a recipe with `layer_decay`
    and a network without stages.
    """
    groups: list[dict[str, Any]] = []
    for share, parameters in groups_by_stage(model, recipe):
        matrices = [each for each in parameters if each.ndim > 1]
        vectors = [each for each in parameters if each.ndim <= 1]
        groups.append({"params": matrices, "weight_decay": recipe.weight_decay, "share": share})
        groups.append({"params": vectors, "weight_decay": 0.0, "share": share})
    groups = [group for group in groups if group["params"]]
    match recipe.optimizer:
        case "sgd":
            nesterov = recipe.momentum > 0
            return optim.SGD(groups, recipe.lr, momentum=recipe.momentum, nesterov=nesterov, fused=True)
        case "rmsprop":
            return optim.RMSprop(
                groups,
                recipe.lr,
                alpha=_RMSPROP_ALPHA,
                eps=_RMSPROP_EPS,
                momentum=recipe.momentum,
                foreach=True,
            )
        case "adamw":
            return optim.AdamW(groups, recipe.lr, betas=(recipe.momentum, 0.999), fused=True)


def learning_rate(recipe: Recipe, progress: float) -> float:
    """The learning rate at `progress` in 0..1 of the training: linear warm-up, then cosine to zero.

    A warm-up longer than half of the training is cut to half of it.
    """
    warmup = min(recipe.warmup_epochs / recipe.epochs, 0.5)
    if progress < warmup:
        return recipe.lr * progress / warmup
    return recipe.lr * 0.5 * (1 + math.cos(math.pi * (progress - warmup) / (1 - warmup)))


def set_learning_rate(optimizer: optim.Optimizer, recipe: Recipe, progress: float) -> None:
    """Give all parameters of `optimizer` the `learning_rate` at `progress`."""
    rate = learning_rate(recipe, progress)
    for group in optimizer.param_groups:
        group["lr"] = rate * group.get("share", 1.0)  # checkpoints of older versions have none


def averaged(model: nn.Module, recipe: Recipe) -> AveragedModel | None:
    """The exponential moving average of parameters and buffers; None if the recipe has none.

    The decay rises as (1 + n) / (10 + n) over the updates n until it is the recipe's, so that
    the initial weights do not linger in a short training. Source: ``num_updates`` of
    TensorFlow's ExponentialMovingAverage.
    """
    if not recipe.ema:
        return None
    ema = AveragedModel(model, use_buffers=True)

    @torch.no_grad()
    def update(average: _Tensors, current: _Tensors, _: Tensor | int) -> None:
        if not average[0].is_floating_point():  # a counter, such as the batches a norm has seen
            for old, new in zip(average, current, strict=True):
                old.copy_(new)
            return
        updates = int(ema.n_averaged)  # a copy on the CPU; the argument is on the device
        decay = min(recipe.ema_decay, (1 + updates) / (10 + updates))
        get_ema_multi_avg_fn(decay)(average, current, updates)

    ema.multi_avg_fn = update
    return ema


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
