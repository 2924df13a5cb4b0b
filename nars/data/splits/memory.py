"""Images of one split that are held in memory, with copies of them at the sizes in use."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import torch
from torch import Tensor

from nars.data.augment import resize
from nars.data.cache import shared
from nars.data.crops import cut_out, cut_out_on_gpu
from nars.data.splits.base import ImageSize, Split
from nars.data.splits.disk import DiskSplit

__all__ = ["MEMORY_LIMIT", "MemorySplit"]

MEMORY_LIMIT = 2**30
"""Bytes up to which one split, and one resized copy of it, is held in memory."""

_COPIES = 4
"""Resized copies that a split keeps, since a search mixes a few resolutions."""


class MemorySplit(Split):
    """Images in memory, uint8 [N, 1 or 3, S, S]; they are resized as a whole if the copy fits, too.

    `finer` serves resolutions above S if the images on disk are larger than those in memory. `side` is
    the median side of the images as they were before, by default S. With an `identity`, everything that the
    pixels depend on, resized copies are shared with other processes.
    """

    def __init__(
        self,
        pixels: Tensor,
        labels: Tensor,
        finer: DiskSplit | None = None,
        *,
        side: int | None = None,
        identity: tuple[str, ...] = (),
    ) -> None:
        assert pixels.dtype == torch.uint8, pixels.dtype
        assert len(pixels) == len(labels), (len(pixels), len(labels))
        self.pixels = pixels
        self.labels = labels
        self.finer = finer
        self.identity = identity
        self.size = ImageSize(pixels.shape[-1] if side is None else side, pixels.shape[1])
        self._copies: dict[tuple[int, torch.device], tuple[Tensor, Tensor]] = {}

    def batches(
        self,
        resolution: int,
        device: torch.device,
        groups: Sequence[Tensor],
        crops: Sequence[Tensor] | None = None,
    ) -> Iterator[tuple[Tensor, Tensor]]:
        if self.finer is not None and resolution > self.pixels.shape[-1]:
            yield from self.finer.batches(resolution, device, groups, crops)
        elif crops is not None and device.type == "cuda" and self._fits(device):
            pixels, labels = self._copy(self.pixels.shape[-1], device)
            for group, boxes in zip(groups, crops, strict=True):
                index = group.to(device, non_blocking=True)
                places = boxes.to(device, non_blocking=True)
                yield cut_out_on_gpu(pixels[index], places, resolution), labels[index]
        elif crops is not None:
            for group, boxes in zip(groups, crops, strict=True):
                images = _cut(self.pixels[group], boxes, resolution)
                yield images.to(device, non_blocking=True), self.labels[group].to(device, non_blocking=True)
        elif self.pixels[0, :, 0, 0].numel() * len(self) * resolution**2 > MEMORY_LIMIT:
            for group in groups:
                images = resize(self.pixels[group], resolution)
                yield images.to(device, non_blocking=True), self.labels[group].to(device, non_blocking=True)
        else:
            pixels, labels = self._copy(resolution, device)
            for group in groups:
                index = group.to(device, non_blocking=True)
                yield pixels[index], labels[index]

    def _copy(self, resolution: int, device: torch.device) -> tuple[Tensor, Tensor]:
        key = resolution, device
        copy = self._copies.pop(key, None)
        if copy is None:
            make = self._resized_on_gpu if device.type == "cuda" else self._resized
            copy = make(resolution, device), self.labels.to(device)
        self._copies[key] = copy  # the newest is dropped last
        while len(self._copies) > _COPIES:
            del self._copies[next(iter(self._copies))]
        return copy

    def _fits(self, device: torch.device) -> bool:
        """Whether a GPU has room for the images: they may take a quarter of what is free."""
        return self.pixels.nbytes <= torch.cuda.mem_get_info(device)[0] / 4

    def _resized_on_gpu(self, resolution: int, device: torch.device) -> Tensor:
        return torch.cat([resize(part.to(device), resolution) for part in self.pixels.split(1024)])

    def _resized(self, resolution: int, _: torch.device) -> Tensor:
        if resolution == self.pixels.shape[-1]:
            return self.pixels

        def make() -> dict[str, Tensor]:
            shape = (*self.pixels.shape[:2], resolution, resolution)
            resized = torch.empty(shape, dtype=torch.uint8)
            for place, part in zip(resized.split(1024), self.pixels.split(1024), strict=True):
                place.copy_(resize(part, resolution))
            return {"pixels": resized}

        size = self.pixels.shape[1] * len(self) * resolution**2 if self.identity else 0
        identity = (*self.identity, f"resized to {resolution} by torch {torch.__version__}")
        return shared(identity, size, make)["pixels"]

    def summary(self) -> dict[str, Any]:
        _, channels, side, _ = self.pixels.shape
        return {"kept": "memory", "bytes": self.pixels.nbytes, "side": side, "channels": channels}

    def sample(self) -> Tensor:
        return self.pixels


def _cut(images: Tensor, boxes: Tensor, resolution: int) -> Tensor:
    """The parts in `boxes` [N, 4] of images [N, C, S, S], each at [C, R, R]."""
    return torch.stack([cut_out(image, box, resolution) for image, box in zip(images, boxes, strict=True)])
