"""Images of one split in whole batches, held in memory or read from disk."""

from __future__ import annotations

import logging
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from typing import Any, NamedTuple

import torch
from torch import Tensor

from nars.data.augment import resize
from nars.data.cache import shared
from nars.data.crops import cut_out, cut_out_on_gpu, pixels_needed
from nars.data.pictures import READERS, Fit, Picture, read_square, reading_threads, with_remedy
from nars.errors import DataError
from nars.files import is_first_to_say

__all__ = ["MEMORY_LIMIT", "DiskSplit", "ImageSize", "MemorySplit", "Split"]

logger = logging.getLogger(__name__)

MEMORY_LIMIT = 2**30
"""Bytes up to which one split, and one resized copy of it, is held in memory."""

_COPIES = 4
"""Resized copies that a split keeps, since a search mixes a few resolutions."""

_AHEAD = 3
"""Batches read from disk ahead of the one in use."""

_SAMPLE, _SAMPLE_SIDE = 1024, 64
"""Number and side of the images that the mean and deviation of a split on disk come from."""


class ImageSize(NamedTuple):
    """The size of a split's images, for the choice of a search space."""

    side: int
    """Median of the shorter sides in pixels, from a sample of the images; 256 stands for that and more."""
    channels: int
    """1 if the images are held in grey, else 3."""


class Split(ABC):
    """One of train, val and test: `labels` int64 [N] on the CPU, and the images they belong to."""

    labels: Tensor
    size: ImageSize
    refit: Callable[[Fit], Split] | None = None
    """Makes the same split with its pictures as squares of another kind; None for images that are squares."""

    def fitted(self, fit: Fit) -> Split:
        """The same images, if they come from pictures, as squares of the kind `fit`."""
        return self if self.refit is None else self.refit(fit)

    def __len__(self) -> int:
        return len(self.labels)

    @abstractmethod
    def batches(
        self,
        resolution: int,
        device: torch.device,
        groups: Sequence[Tensor],
        crops: Sequence[Tensor] | None = None,
    ) -> Iterator[tuple[Tensor, Tensor]]:
        """Yield (images uint8 [B, 1 or 3, R, R], labels int64 [B]) on `device` for each group of numbers.

        `crops` has boxes [B, 4] for each group, in 0..1 (left, top, right, bottom): the parts of the stored
        images to show, by default all.
        """

    @abstractmethod
    def summary(self) -> dict[str, Any]:
        """The way the images are kept: side, channels, bytes."""

    @abstractmethod
    def sample(self) -> Tensor:
        """Images uint8 [N, 1 or 3, H, W]: all, or enough for their mean and deviation."""


class DiskSplit(Split):
    """Images that are decoded again for each use, by threads that work ahead.

    An image that cannot be read raises `DataError` with its name or, with `drop_bad`, is left out
    of its batch and logged, once in a search.
    """

    def __init__(
        self, pictures: Sequence[Picture], *, side: int, drop_bad: bool = False, readers: int = READERS
    ) -> None:
        """`readers` is the number of threads."""
        self.pictures = pictures
        self.readers = readers
        self.size = ImageSize(side, 3)
        self.labels = torch.tensor([picture.label for picture in pictures], dtype=torch.int64)
        self.drop_bad = drop_bad
        self._reported: set[str] = set()

    def batches(
        self,
        resolution: int,
        device: torch.device,
        groups: Sequence[Tensor],
        crops: Sequence[Tensor] | None = None,
    ) -> Iterator[tuple[Tensor, Tensor]]:
        pool = reading_threads(self.readers)
        pending: deque[tuple[list[int], list[Future[Tensor | DataError]]]] = deque()
        waiting, any_good = _with_boxes(groups, crops), False
        try:
            while True:
                while len(pending) < _AHEAD and (batch := next(waiting, None)) is not None:
                    numbers = [number for number, _ in batch]
                    reads = [pool.submit(_read, self.pictures[i], resolution, box) for i, box in batch]
                    pending.append((numbers, reads))
                if not pending:
                    break
                images, kept = self._good(*pending.popleft())
                if kept:
                    any_good = True
                    labels = self.labels[kept]
                    yield images.to(device, non_blocking=True), labels.to(device, non_blocking=True)
            if not any_good:
                raise DataError(f"none of the {len(self)} images can be read")
        finally:
            pool.shutdown(wait=False, cancel_futures=True)

    def _good(
        self, numbers: Sequence[int], reads: Sequence[Future[Tensor | DataError]]
    ) -> tuple[Tensor, list[int]]:
        images, kept = [], []
        for number, read in zip(numbers, reads, strict=True):
            image = read.result()
            if isinstance(image, Tensor):
                images.append(image)
                kept.append(number)
            elif not self.drop_bad:
                raise with_remedy(image)
            elif self.pictures[number].name not in self._reported:
                self._reported.add(self.pictures[number].name)
                if is_first_to_say(f"left out: {image}"):
                    logger.warning("left out: %s", image)
        return torch.stack(images) if images else torch.empty(0), kept

    def summary(self) -> dict[str, Any]:
        return {"kept": "disk", "bytes": 0}

    def sample(self) -> Tensor:
        step = max(1, len(self) // _SAMPLE)
        groups = torch.arange(0, len(self), step).split(256)
        batches = self.batches(_SAMPLE_SIDE, torch.device("cpu"), groups)
        return torch.cat([images for images, _ in batches])


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


def _with_boxes(
    groups: Sequence[Tensor], crops: Sequence[Tensor] | None
) -> Iterator[list[tuple[int, Tensor | None]]]:
    """Yield the image numbers of each group, each with its box, or None for the whole image."""
    for at, group in enumerate(groups):
        boxes = [None] * len(group) if crops is None else crops[at]
        yield list(zip(group.tolist(), boxes, strict=True))


def _read(picture: Picture, resolution: int, box: Tensor | None) -> Tensor | DataError:
    """The part of a picture in a box, or all of it, as uint8 [3, R, R]; or the error that reading it raised.

    The picture is read as large as it has to be for the part to have its own detail.
    """
    if box is None:
        return read_square(picture, resolution)
    image = read_square(picture, pixels_needed(box, resolution))
    return cut_out(image, box, resolution) if isinstance(image, Tensor) else image
