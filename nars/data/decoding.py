"""Turns pictures into data: cuts them into splits and decodes into memory what fits."""

from __future__ import annotations

import hashlib
import logging
import statistics
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import torch
from torch import Tensor

from nars.data.images import MEMORY_LIMIT, DiskSplit, ImageData, MemorySplit, Split
from nars.data.pictures import READERS, Picture, read_square
from nars.data.splitting import cut
from nars.errors import DataError

__all__ = ["KEPT_SIDE", "from_pictures"]

logger = logging.getLogger(__name__)

KEPT_SIDE = 256
"""Largest side of pictures in memory; for larger resolutions they are read from disk."""

_PROBES = 64
"""How many pictures are looked at to choose the side for all."""


def from_pictures(
    name: str,
    classes: tuple[str, ...],
    splits: Mapping[str, Sequence[Picture]],
    content: Sequence[str],
    *,
    drop_bad: bool,
) -> ImageData:
    """Data from pictures not read yet; if val or test is missing, it is cut from train.

    `content` are lines that change when a picture does. A picture that cannot be read raises
    `DataError` or, with `drop_bad`, is left out. In a split too large for memory it is noticed
    only when it is used.
    """
    parts = dict(splits)
    absent = [split for split in ("val", "test") if split not in parts]
    if absent:
        train = parts["train"]
        pieces = cut([picture.label for picture in train], len(absent))
        for split, index in zip(("train", *absent), pieces, strict=True):
            parts[split] = [train[i] for i in index]
    built: dict[str, Split] = {}
    dropped: list[str] = []
    for split, pictures in parts.items():
        built[split], bad = _split(pictures, drop_bad=drop_bad)
        dropped += bad
        if not len(built[split]):
            raise DataError(f"{name}: no images for {split}; give it some, or more to train")
    if len(set(built["train"].labels.tolist())) < 2:
        raise DataError(f"{name}: the training images are of one class; a classifier needs two or more")
    if dropped:
        logger.warning("%s: left out %d images that cannot be read", name, len(dropped))
    digest = hashlib.sha256("\n".join([*classes, "", *content, "", *dropped]).encode()).hexdigest()
    return ImageData(name, classes, built["train"], built["val"], built["test"], digest, tuple(dropped))


def _split(pictures: Sequence[Picture], *, drop_bad: bool) -> tuple[Split, list[str]]:
    """The split, and a line about each picture that was left out of it."""
    sides = [side for side in map(_side, pictures[:: max(1, len(pictures) // _PROBES)]) if side]
    largest = max(sides, default=1)
    side = min(largest, KEPT_SIDE)
    median = min(round(statistics.median(sides or [1])), KEPT_SIDE)
    disk = DiskSplit(pictures, side=median, drop_bad=drop_bad)
    if len(pictures) * 3 * side**2 > MEMORY_LIMIT:
        return disk, []
    pixels = torch.empty(len(pictures), 3, side, side, dtype=torch.uint8)
    good: list[int] = []
    bad: list[str] = []
    with ThreadPoolExecutor(READERS) as pool:
        for number, image in enumerate(pool.map(partial(read_square, side=side), pictures)):
            if isinstance(image, Tensor):
                pixels[len(good)] = image
                good.append(number)
            elif drop_bad:
                bad.append(str(image))
            else:
                raise image
    pixels = _without_copies(pixels[: len(good)])
    return MemorySplit(pixels, disk.labels[good], disk if largest > side else None, side=median), bad


def _side(picture: Picture) -> int | None:
    try:
        return min(picture.open(KEPT_SIDE + 1).size)
    except DataError:
        return None


def _without_copies(pixels: Tensor) -> Tensor:
    """The pixels [N, 3, S, S] with one channel if all three are the same."""
    grey = all(torch.equal(pixels[:, 0], pixels[:, channel]) for channel in (1, 2))
    return pixels[:, :1].clone() if grey else pixels
