"""Changes weights by the gradients of a loss: the part of a step that all trainings share."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.optim import Optimizer
from torch.optim.swa_utils import AveragedModel

from nars.spec import Recipe
from nars.training.updates.averages import Averaging
from nars.training.updates.rates import Rates

__all__ = ["Update"]


class Update:
    """Backward pass, clipping, optimizer and average. It reads nothing back, so it can be recorded."""

    def __init__(
        self,
        model: nn.Module,
        recipe: Recipe,
        optimizer: Optimizer,
        scaler: torch.amp.GradScaler,
        ema: AveragedModel | None = None,
    ) -> None:
        """`optimizer`, `scaler` and `ema` are in the state that the training starts or goes on in."""
        device = next(model.parameters()).device
        self._model, self._optimizer, self._scaler = model, optimizer, scaler
        self._clip_norm = recipe.clip_norm
        self._rates = Rates(optimizer, recipe, device)
        self._average = None if ema is None else Averaging(ema, model, recipe, device)

    def prepare(self, progress: float) -> None:
        """Set what the next update depends on, at a `progress` in 0..1 of the training; never recorded."""
        self._rates.set(progress)
        if self._average is not None:
            self._average.before()

    def __call__(self, loss: Tensor) -> None:
        """Change the weights by the gradients of a scalar `loss`."""
        self._optimizer.zero_grad()
        self._scaler.scale(loss).backward()
        if self._clip_norm:
            self._scaler.unscale_(self._optimizer)
            nn.utils.clip_grad_norm_(self._model.parameters(), self._clip_norm)
        self._scaler.step(self._optimizer)
        self._scaler.update()
        if self._average is not None:
            self._average.update()
