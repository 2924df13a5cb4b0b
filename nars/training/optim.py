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
from nars.internals import blend
from nars.spec import Recipe
from nars.training.stages import groups_by_stage

__all__ = [
    "Averaging",
    "Rates",
    "averaged",
    "drawn",
    "importances",
    "learning_rate",
    "mixer",
    "optimizer",
    "set_learning_rate",
]

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


class Rates:
    """The learning rates of an optimizer's groups; on a GPU in one tensor, which a recorded step reads."""

    def __init__(self, optimizer: optim.Optimizer, recipe: Recipe, device: torch.device) -> None:
        """`optimizer` may have been restored from a checkpoint that was written on another device."""
        self._optimizer, self._recipe = optimizer, recipe
        self._shares = [group.get("share", 1.0) for group in optimizer.param_groups]
        self._rates = torch.zeros(len(self._shares), device=device)
        if device.type != "cuda":
            return
        for group, rate in zip(optimizer.param_groups, self._rates, strict=True):
            group["lr"] = rate
            if "capturable" in group:
                group["capturable"] = True
        for state in optimizer.state.values():
            if "step" in state:
                state["step"] = state["step"].to(device)

    def set(self, progress: float) -> None:
        """Set the rates to those at `progress` in 0..1 of the training."""
        if not self._rates.is_cuda:
            set_learning_rate(self._optimizer, self._recipe, progress)
            return
        rate = learning_rate(self._recipe, progress)
        self._rates.copy_(torch.tensor([rate * share for share in self._shares]), non_blocking=True)


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
        get_ema_multi_avg_fn(_decay(recipe, updates))(average, current, updates)

    ema.multi_avg_fn = update
    return ema


def _decay(recipe: Recipe, updates: int) -> float:
    """The decay of the average after a number of updates; see `averaged`."""
    return min(recipe.ema_decay, (1 + updates) / (10 + updates))


class Averaging:
    """Updates of an average; on a GPU they depend on tensors alone, so that a step can be recorded."""

    def __init__(self, ema: AveragedModel, model: nn.Module, recipe: Recipe, device: torch.device) -> None:
        self._ema, self._model, self._recipe = ema, model, recipe
        self._share = torch.ones((), device=device)
        pairs = list(zip(_tensors(ema.module), _tensors(model), strict=True))
        self._floats = [pair for pair in pairs if pair[0].is_floating_point()]
        self._counters = [pair for pair in pairs if not pair[0].is_floating_point()]

    def before(self) -> None:
        """Prepare the next update."""
        if self._share.is_cuda:
            updates = int(self._ema.n_averaged)
            self._share.fill_(1 - _decay(self._recipe, updates) if updates else 1.0)  # the first is a copy
            self._ema.n_averaged += 1

    @torch.no_grad()
    def update(self) -> None:
        """Move the average towards the network."""
        if not self._share.is_cuda:
            self._ema.update_parameters(self._model)
            return
        averages, currents = zip(*self._floats, strict=True)
        blend(list(averages), list(currents), self._share)
        for average, current in self._counters:  # such as the batches that a norm has seen
            average.copy_(current)


def _tensors(model: nn.Module) -> list[Tensor]:
    """The parameters and buffers of a network, without their gradients."""
    return [each.detach() for each in (*model.parameters(), *model.buffers())]


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
