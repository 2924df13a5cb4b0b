"""Keeps decoded images in memory, so that every image of a small data set is read once."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from detector.data import images
from detector.data.records import CocoData, Subset

__all__ = ["kept"]

_MOST_BYTES = 2**29
"""Memory that the decoded images of a data set may take."""


def kept(data: CocoData) -> CocoData:
    """Return the data set with images that stay in memory once they are read, if they all fit."""
    subsets = [subset for subset in data.subsets if subset.pixels is None]
    needed = sum(3 * image.width * image.height for subset in subsets for image in subset.images)
    if needed > _MOST_BYTES:
        return data
    return CocoData(*(_kept(subset) for subset in data.subsets))


def _kept(subset: Subset) -> Subset:
    return subset if subset.pixels is not None else replace(subset, pixels=_Decoded(subset))


class _Decoded(Mapping[int, NDArray[np.uint8]]):
    """Images [H, W, 3] by id; each is read when it is first asked for."""

    def __init__(self, subset: Subset) -> None:
        self._subset = subset
        self._records = {image.id: image for image in subset.images}
        self._pixels: dict[int, NDArray[np.uint8]] = {}

    def __getitem__(self, id: int) -> NDArray[np.uint8]:
        if id not in self._pixels:
            self._pixels[id] = images.load(self._subset, self._records[id]).permute(1, 2, 0).numpy()
        return self._pixels[id]

    def __iter__(self) -> Iterator[int]:
        return iter(self._records)

    def __len__(self) -> int:
        return len(self._records)
