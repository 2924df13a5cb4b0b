"""A classifier whose classes are in the order of other data."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

__all__ = ["Reordered"]


class Reordered(nn.Module):
    """A network whose logit k is that of class ``order[k]`` of another one."""

    order: Tensor

    def __init__(self, network: nn.Module, order: Sequence[int]) -> None:
        super().__init__()
        self.network = network
        self.in_channels = getattr(network, "in_channels", 3)
        self.register_buffer("order", torch.tensor(order))

    def forward(self, images: Tensor) -> Tensor:
        logits: Tensor = self.network(images)
        return logits[:, self.order]
