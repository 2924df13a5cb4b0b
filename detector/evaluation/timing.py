"""Latency of a detector on a real image: what it finds there decides how long it takes."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from detector.data import images
from detector.data.records import CocoData
from detector.model.detector import Detector
from nars.device import memory_errors
from nars.networks.latency import Latency, time_forward

__all__ = ["time_detector"]


def time_detector(
    model: Detector,
    data: CocoData,
    split: str,
    device: torch.device,
    *,
    seconds: float = 2.0,
) -> Latency:
    """Seconds from a split's first image in memory to its boxes, on the threads torch is set to.

    `split` is ``train`` or ``val``. Raises `TrialMemoryError`.
    """
    part = {"train": data.train, "val": data.val}[split]
    image = images.load(part, part.images[0]).to(device).float() / 255
    model.eval()
    with memory_errors("measuring latency"):
        return time_forward(_Single(model), image[None], seconds=seconds)


class _Single(nn.Module):
    """A detector that takes a batch [N, 3, H, W] of images of one size."""

    def __init__(self, model: Detector) -> None:
        super().__init__()
        self.model = model

    def forward(self, batch: Tensor) -> Any:
        return self.model(list(batch))
