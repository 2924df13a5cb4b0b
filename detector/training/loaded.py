"""Training batches from a loader, which reads and augments images on the CPU."""

from __future__ import annotations

import os
from collections.abc import Iterator

import torch
from torch import Tensor

from detector.model.batched.slots import Batch, Slots, enlarged
from detector.model.detector import Detector
from detector.training.batches import GroupedBatches
from detector.training.dataset import DetectionDataset, training_loader
from nars import parallel

__all__ = ["Loaded", "default_workers"]

_STEP = 32
"""On a GPU, sides of a batch are multiples of this, so that few different shapes are met."""

_MOST_WORKERS = 8
"""Processes above which loading gains nothing, by default."""


def default_workers(device: torch.device) -> int:
    """Return how many processes load images: on a CPU none, which would take cores from the training."""
    return 0 if device.type == "cpu" else min(_MOST_WORKERS, os.cpu_count() or 1)


class Loaded:
    """The batches of a loader on a device; iterating gives the inputs of `assemble`.

    On a GPU batches have slots for the most objects that a sample may have, so their shapes repeat.
    """

    def __init__(
        self,
        dataset: DetectionDataset,
        batches: GroupedBatches,
        model: Detector,
        device: torch.device,
        workers: int,
    ) -> None:
        """`workers` are the processes that load images."""
        self.model, self.device = model, device
        self.slots, self.step = (dataset.most_objects, _STEP) if device.type == "cuda" else (0, 1)
        self.loader = training_loader(dataset, batches, workers)

    def __iter__(self) -> Iterator[tuple[Tensor, ...]]:
        for images, targets in self.loader:
            batch = self._alike(self.model.batch(images, targets, self.slots, self.step))
            tensors = (batch.images, batch.sizes, *batch.slots)
            yield tuple(tensor.to(self.device, non_blocking=True) for tensor in tensors if tensor is not None)

    def _alike(self, batch: Batch) -> Batch:
        """Give the batches of all processes one shape, as if they were one batch."""
        if parallel.world_size() == 1:
            return batch
        own = (*batch.images.shape[2:], batch.slots.filled.shape[1])
        return enlarged(batch, *parallel.largest(own, self.device))

    def assemble(self, images: Tensor, sizes: Tensor, *slots: Tensor) -> Batch:
        """Return the batch of these tensors."""
        return Batch(images, sizes, Slots(*slots))
