"""Measures a detector's latency on a real image, because it depends on what is in the image."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from detector.data import images
from detector.data.records import CocoData
from nars.device import memory_errors
from nars.networks.latency import Latency, time_forward

__all__ = ["time_detector"]


def time_detector(
    model: nn.Module,
    data: CocoData,
    split: str,
    device: torch.device,
    *,
    seconds: float = 2.0,
) -> Latency:
    """Time the way from the first image of a split in memory to its boxes, on torch's current threads.

    `model` takes lists of images, as torchvision's detectors do; `split` is ``train`` or ``val``.
    Raises `TrialMemoryError`.
    """
    subset = data.subset(split)
    image = images.load(subset, subset.images[0]).to(device).float() / 255
    model.eval().to(memory_format=torch.channels_last)
    with memory_errors("measuring latency"):
        return time_forward(_OfBatches(model), image[None], seconds=seconds)


class _OfBatches(nn.Module):
    """Lets a detector take a batch [N, 3, H, W] of images of one size."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, batch: Tensor) -> Any:
        return self.model(list(batch))
