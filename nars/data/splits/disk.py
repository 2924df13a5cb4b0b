"""Images of one split that are read from disk, by threads that work ahead."""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future
from typing import Any

import torch
from torch import Tensor

from nars.data.crops import cut_out, pixels_needed
from nars.data.pictures import READERS, Picture, read_square, reading_threads, with_remedy
from nars.data.splits.base import ImageSize, Split
from nars.errors import DataError
from nars.files import is_first_to_say

__all__ = ["DiskSplit"]

logger = logging.getLogger(__name__)

_AHEAD = 3
"""Batches read from disk ahead of the one in use."""

_SAMPLE, _SAMPLE_SIDE = 1024, 64
"""Number and side of the images that the mean and deviation of a split on disk come from."""


class DiskSplit(Split):
    """Images that are decoded again for each use, by threads that work ahead.

    An image that cannot be read raises `DataError` with its name or, with `drop_bad`, is left out
    of its batch and logged, once in a search.
    """

    def __init__(
        self,
        pictures: Sequence[Picture],
        *,
        side: int,
        channels: int = 3,
        drop_bad: bool = False,
        readers: int = READERS,
    ) -> None:
        """`channels` is 1 for grey pictures, whose batches have three equal ones; `readers` are threads."""
        self.pictures = pictures
        self.readers = readers
        self.size = ImageSize(side, channels)
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
