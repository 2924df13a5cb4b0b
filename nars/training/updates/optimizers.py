"""The optimizer of a recipe."""

from __future__ import annotations

from typing import Any

from torch import nn, optim

from nars.spec import Recipe
from nars.training.stages import groups_by_stage

__all__ = ["optimizer"]

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
    on_gpu = any(parameter.is_cuda for group in groups for parameter in group["params"])
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
                capturable=on_gpu,
            )
        case "adamw":
            betas = recipe.momentum, 0.999
            return optim.AdamW(groups, recipe.lr, betas=betas, fused=True, capturable=on_gpu)
