"""The learning rate of a recipe over a training: linear warm-up, then cosine to zero."""

from __future__ import annotations

import math

import torch
from torch.optim import Optimizer

from nars.spec import Recipe

__all__ = ["Rates", "learning_rate", "scheduled", "set_learning_rate"]


def scheduled(recipe: Recipe, steps: int) -> Recipe:
    """The recipe without a warm-up that one of `steps` an epoch would be all of, at a rate of 0.

    A training of a single step would learn nothing, and one of a step an epoch would lose its first epoch.
    """
    warmup = min(recipe.warmup_epochs, recipe.epochs / 2)
    return recipe.replace(warmup_epochs=0.0) if 0 < warmup * steps <= 1 else recipe


def learning_rate(recipe: Recipe, progress: float) -> float:
    """The learning rate at `progress` in 0..1 of the training: linear warm-up, then cosine to zero.

    A warm-up longer than half of the training is cut to half of it.
    """
    warmup = min(recipe.warmup_epochs / recipe.epochs, 0.5)
    if progress < warmup:
        return recipe.lr * progress / warmup
    return recipe.lr * 0.5 * (1 + math.cos(math.pi * (progress - warmup) / (1 - warmup)))


def set_learning_rate(optimizer: Optimizer, recipe: Recipe, progress: float) -> None:
    """Give all parameters of `optimizer` the `learning_rate` at `progress`."""
    rate = learning_rate(recipe, progress)
    for group in optimizer.param_groups:
        group["lr"] = rate * group.get("share", 1.0)  # checkpoints of older versions have none


class Rates:
    """The learning rates of an optimizer's groups; on a GPU in one tensor, which a recorded step reads."""

    def __init__(self, optimizer: Optimizer, recipe: Recipe, device: torch.device) -> None:
        """`optimizer` may have been restored from a checkpoint that was written on another device."""
        self._optimizer, self._recipe = optimizer, recipe
        self._shares = [group.get("share", 1.0) for group in optimizer.param_groups]
        self._rates = torch.zeros(len(self._shares), device=device)
        for group in optimizer.param_groups:
            if "capturable" in group:
                group["capturable"] = device.type == "cuda"
        if device.type != "cuda":
            return
        for group, rate in zip(optimizer.param_groups, self._rates, strict=True):
            group["lr"] = rate
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
