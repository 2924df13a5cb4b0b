"""Builds the parts of a training that a recipe chooses: optimizer, schedule, averaging, mixup."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor, nn, optim
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn
from torchvision.transforms import v2

from nars.spec import Recipe

__all__ = ["averaged", "learning_rate", "mixer", "optimizer", "set_learning_rate"]

_Tensors = tuple[Tensor, ...] | list[Tensor]

_RMSPROP_ALPHA, _RMSPROP_EPS = 0.9, 0.0316
"""Decay and epsilon with which MobileNetV3 and its successors train under RMSProp. The epsilon is the
square root of theirs, because PyTorch adds it outside the root. Source: EfficientNet (ICML 2019),
section 5.2; torchvision's classification reference."""


def optimizer(model: nn.Module, recipe: Recipe) -> optim.Optimizer:
    """The recipe's optimizer; weight decay leaves out norms and biases, the vectors of a model."""
    parameters = [parameter for parameter in model.parameters() if parameter.requires_grad]
    groups = [
        {"params": [each for each in parameters if each.ndim > 1], "weight_decay": recipe.weight_decay},
        {"params": [each for each in parameters if each.ndim <= 1], "weight_decay": 0.0},
    ]
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
        group["lr"] = rate


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
    """Mixup: a function from (images, labels) to (images, class probabilities).

    Without mixup in the recipe it returns both unchanged. Otherwise it draws from PyTorch's global
    generator; see `nars.device.seeded`.
    """
    if not recipe.mixup:
        return lambda images, labels: (images, labels)
    mix: Callable[[Tensor, Tensor], tuple[Tensor, Tensor]]
    mix = v2.MixUp(alpha=recipe.mixup, num_classes=num_classes)
    return mix
