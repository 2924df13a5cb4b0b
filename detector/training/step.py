"""One step of a detector's training: forward and backward pass, clipping, optimizer, average."""

from __future__ import annotations

from collections.abc import Callable
from typing import cast

import torch
from torch import Tensor, nn
from torch.optim import Optimizer
from torch.optim.swa_utils import AveragedModel

from detector.model.batched.slots import Batch
from detector.model.detector import Detector
from nars import parallel
from nars.graphs import Replayed
from nars.spec import Recipe
from nars.training.passes import one_pixel_refused
from nars.training.updates import Update

__all__ = ["Step"]


class Step:
    """Changes a detector's weights by a batch; on a GPU it is recorded once per shape and replayed.

    On a CPU, with several processes, and in float16, whose losses have to be scaled, every step runs as
    it is. Nothing is read back from the device.
    """

    def __init__(
        self,
        model: nn.Module,
        recipe: Recipe,
        optimizer: Optimizer,
        scaler: torch.amp.GradScaler,
        *,
        assemble: Callable[..., Batch],
        ema: AveragedModel | None = None,
        half: torch.dtype | None = None,
    ) -> None:
        """`model` is the detector, or what wraps it to share gradients; the states are those to start from.

        `assemble` makes a batch of the tensors that the step is called with. `half` is the type to
        autocast to.
        """
        self.model = model
        self.detector = cast(Detector, model if isinstance(model, Detector) else model.module)
        self.device = next(self.detector.parameters()).device
        self.names: tuple[str, ...] = ()
        self._assemble, self._half = assemble, half
        self._update = Update(self.detector, recipe, optimizer, scaler, ema)
        self._learn: Callable[..., Tensor] = self._eager
        is_scaled = half is torch.float16
        if self.device.type == "cuda" and parallel.world_size() == 1 and not is_scaled:
            self._learn = Replayed(self._eager, self.device, optimizer.zero_grad)

    def __call__(self, inputs: tuple[Tensor, ...], progress: float) -> Tensor:
        """Learn from the `inputs` of `assemble` at a `progress` in 0..1 of the training.

        Returns float64 [V + N]: the logged values, whose `names` are known after the first step, then 1
        for every image whose proposals are finite, else 0. Raises `TrialError` for a single image if a
        batch norm sees one pixel of it, as the coarsest level of a pyramid may.
        """
        self._update.prepare(progress)
        return self._learn(*inputs)

    def _eager(self, *inputs: Tensor) -> Tensor:
        batch = self._assemble(*inputs)
        half = torch.autocast(self.device.type, dtype=self._half, enabled=self._half is not None)
        with half, one_pixel_refused(len(batch.images)):
            losses: dict[str, Tensor] = self.model(batch)
        loss = torch.stack(list(losses.values())).sum()
        self._update(loss)
        values = losses | {"loss": loss} | self.detector.counts
        self.names = tuple(values)
        logged = parallel.mean(torch.stack([value.detach().double() for value in values.values()]))
        return torch.cat([logged, self.detector.rpn.finite.double()])
