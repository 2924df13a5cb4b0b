"""One step of a classifier's training: forward and backward pass, clipping, optimizer, average."""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.optim import Optimizer
from torch.optim.swa_utils import AveragedModel

from nars import parallel
from nars.device import half_precision
from nars.graphs import Replayed
from nars.spec import Recipe
from nars.training.passes import one_pixel_refused
from nars.training.teacher import Teacher, taught
from nars.training.updates import Update

__all__ = ["Step"]


class Step:
    """Changes a network's weights by a batch of images; on a GPU it is recorded once and replayed.

    On a CPU, with several processes (`nars.parallel`), and on a GPU that has no bfloat16 and so needs its
    losses scaled, every step runs as it is.
    A recorded step and one that runs as it is agree but for the rounding of half precision.
    """

    def __init__(
        self,
        model: nn.Module,
        recipe: Recipe,
        optimizer: Optimizer,
        scaler: torch.amp.GradScaler,
        *,
        device: torch.device,
        ema: AveragedModel | None = None,
        class_weights: Tensor | None = None,
        teacher: Teacher | None = None,
    ) -> None:
        """`optimizer`, `scaler` and `ema` are in the state that the training starts or goes on in."""
        parallel.check_batch(recipe.batch_size)
        self.model, self.recipe, self.device = parallel.shared(model, device), recipe, device
        self.class_weights = class_weights
        self.teacher = None if teacher is None else parallel.spread(teacher)
        self._half = half_precision(device)
        self._update = Update(model, recipe, optimizer, scaler, ema)
        self._learn: Callable[[Tensor, Tensor], Tensor] = self._eager
        if device.type == "cuda" and self._half is torch.bfloat16 and parallel.world_size() == 1:
            self._learn = Replayed(self._eager, device, optimizer.zero_grad)

    def __call__(self, images: Tensor, labels: Tensor, progress: float) -> Tensor:
        """Learn from normalized images [N, C, R, R] and labels [N] or class probabilities [N, K].

        `progress` in 0..1 is that of the training. The result is the loss before the change, without a
        gradient. On a CPU a loss that is not finite changes nothing; a GPU would have to wait for it. Raises
        `TrialError` for a single image if a batch norm sees one pixel of it.
        """
        self._update.prepare(progress)
        return self._learn(images, labels)

    def _eager(self, images: Tensor, labels: Tensor) -> Tensor:
        loss = self._loss(images, labels)
        if self.device.type != "cpu" or loss.isfinite():
            self._update(loss)
        return loss.detach()

    def _loss(self, images: Tensor, labels: Tensor) -> Tensor:
        smoothing = self.recipe.label_smoothing
        with torch.autocast(self.device.type, dtype=self._half, enabled=self._half is not None):
            with one_pixel_refused(len(images)):
                logits = self.model(images)
            loss = F.cross_entropy(logits, labels, self.class_weights, label_smoothing=smoothing)
            if self.teacher is None:
                return loss
            return taught(loss, logits, self.teacher(images), self.recipe)
