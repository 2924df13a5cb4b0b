"""Forward passes that measure a network; on a GPU they are recorded once and replayed."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

from nars import parallel
from nars.device import half_precision
from nars.graphs import Replayed

__all__ = ["Forward"]


class Forward:
    """The outputs of a network in the device's precision, without gradients.

    One that is `recorded` serves a whole training: it replays what the network did in its first passes, with
    the weights of the moment, so the network has to be in the same mode each time. On a CPU, with several
    processes (`nars.parallel`), and on a GPU without bfloat16, every pass runs as it is.
    """

    def __init__(self, model: nn.Module, device: torch.device, *, recorded: bool = False) -> None:
        self.model, self.device = model, device
        self._half = half_precision(device)
        self._pass: Callable[[Tensor], Tensor] = self._eager
        if recorded and self._half is torch.bfloat16 and parallel.world_size() == 1:
            self._pass = Replayed(self._eager, device, lambda: None)

    def __call__(self, images: Tensor) -> Tensor:
        """The outputs [N, K] for normalized images [N, C, R, R]."""
        with torch.inference_mode():
            return self._pass(images)

    def _eager(self, images: Tensor) -> Tensor:
        with torch.autocast(self.device.type, dtype=self._half, enabled=self._half is not None):
            outputs: Tensor = self.model(images)
            return outputs
