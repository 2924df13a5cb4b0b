"""``digit-scenes``: real handwritten digits on textured canvases, as a detection data set.

Made in memory in a second or two, the same on every machine and every time: 400 scenes to
train on and 100 to validate, with up to five digits each, a twentieth of them with none. The
digits are scikit-learn's (1797 images of 8x8 pixels: UCI Optical Recognition of Handwritten
Digits), enlarged to between a seventh and a half of the canvas. No digit is in both splits,
and those in validation are the ones that the classification data ``digits`` keeps for its
test: a classifier trained on that data has not seen them.
"""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from sklearn.datasets import load_digits

from detector.data import masks
from detector.data.records import Annotation, Category, CocoData, ImageRecord, Subset
from nars.data.splitting import cut

__all__ = ["NAME", "make"]

NAME = "digit-scenes"

_COUNTS = np.repeat([0, 1, 2, 3, 4, 5], [1, 3, 4, 5, 4, 3])
"""Digits in a scene; each entry is as likely as the others."""

_ATTEMPTS = 20
"""Places tried for a digit before it is left out of a crowded scene."""

Pixels = NDArray[np.float32]


class _Glyphs(NamedTuple):
    images: Pixels
    """(count, 10, 10), 0 paper to 1 ink, with a margin of paper."""
    labels: NDArray[np.int64]


class _Placed(NamedTuple):
    label: int
    mask: NDArray[np.bool_]
    """(height, width) of the scene."""


def make(train: int = 400, val: int = 100, side: int = 160, seed: int = 0) -> CocoData:
    """Scenes with a longest side of `side` pixels, square and 5:4 in both orientations."""
    digits = load_digits()
    splits = cut(digits.target, 2)  # as nars.data.arrays cuts it: train, val, test
    inks = np.pad((digits.images / 16).astype(np.float32), ((0, 0), (1, 1), (1, 1)))
    pools = {"train": np.concatenate(splits[:2]), "val": splits[2]}
    counts = {"train": train, "val": val}
    parts = {
        name: _split(name, _Glyphs(inks[pool], digits.target[pool]), counts[name], side, seed)
        for name, pool in pools.items()
    }
    return CocoData(**parts)


def _split(name: str, glyphs: _Glyphs, count: int, side: int, seed: int) -> Subset:
    images: list[ImageRecord] = []
    annotations: list[Annotation] = []
    pixels: dict[int, NDArray[np.uint8]] = {}
    for image_id in range(1, count + 1):
        # Its own generator for every scene: more scenes leave the first ones as they are.
        rng = np.random.default_rng([seed, ord(name[0]), image_id])
        short = side * 4 // 5
        height, width = ((side, side), (short, side), (side, short))[rng.integers(3)]
        canvas, placed = _scene(rng, glyphs, height, width)
        images.append(ImageRecord(image_id, f"{name}-{image_id:05}.png", width, height))
        pixels[image_id] = canvas
        for one in placed:
            annotations.append(_annotation(len(annotations) + 1, image_id, one))
    categories = tuple(Category(digit + 1, str(digit), "digit") for digit in range(10))
    place = Path(NAME)
    return Subset(name, place, place, tuple(images), tuple(annotations), categories, pixels)


def _annotation(id: int, image_id: int, placed: _Placed) -> Annotation:
    rows, columns = np.flatnonzero(placed.mask.any(1)), np.flatnonzero(placed.mask.any(0))
    top, left = int(rows[0]), int(columns[0])
    return Annotation(
        id=id,
        image_id=image_id,
        category_id=placed.label + 1,
        box=(float(left), float(top), float(columns[-1] - left + 1), float(rows[-1] - top + 1)),
        area=float(placed.mask.sum()),
        segmentation=masks.encode(placed.mask),
    )


def _scene(
    rng: np.random.Generator, glyphs: _Glyphs, height: int, width: int
) -> tuple[NDArray[np.uint8], list[_Placed]]:
    """The canvas (height, width, 3) with its digits, no two of which overlap."""
    canvas = _texture(rng, height, width)
    taken = np.zeros((height, width), dtype=bool)
    placed = []
    for _ in range(rng.choice(_COUNTS)):
        number = rng.integers(len(glyphs.labels))
        size = _size(rng, max(height, width))
        ink = np.clip((_enlarge(glyphs.images[number], size, size) - 0.3) / 0.4, 0, 1)
        spot = _free_spot(rng, taken, size)
        if spot is None:
            continue
        taken[spot] = True
        patch = canvas[spot]
        colour = _contrast(rng, patch)
        patch += ink[:, :, None] * (colour - patch)
        mask = np.zeros_like(taken)
        mask[spot] = ink > 0.5
        placed.append(_Placed(int(glyphs.labels[number]), mask))
    canvas += rng.integers(-6, 7, canvas.shape, dtype=np.int8)  # grain
    return np.clip(canvas + 0.5, 0, 255).astype(np.uint8), placed


def _size(rng: np.random.Generator, side: int) -> int:
    """A seventh to half of the side; every doubling is as likely as another, nearly."""
    octave = rng.integers(2)
    low, high = ((side // 7, side // 4), (side // 4, side // 2))[octave]
    return int(rng.integers(low, high + 1))


def _free_spot(rng: np.random.Generator, taken: NDArray[np.bool_], size: int) -> tuple[slice, slice] | None:
    height, width = taken.shape
    for _ in range(_ATTEMPTS):
        top, left = rng.integers(height - size + 1), rng.integers(width - size + 1)
        spot = slice(top, top + size), slice(left, left + size)
        if not taken[spot].any():
            return spot
    return None


def _contrast(rng: np.random.Generator, patch: Pixels) -> Pixels:
    """A colour that stands out: light on dark ground, dark on light ground."""
    shade = rng.integers(0, 60, 3)
    return (255 - shade if patch.mean() < 128 else shade).astype(np.float32)


def _texture(rng: np.random.Generator, height: int, width: int) -> Pixels:
    """Coloured value noise of three octaves around a random ground, (height, width, 3) in 0..255."""
    noise = np.zeros((27, 27, 3), dtype=np.float32)
    for cells, strength in ((3, 40), (9, 25), (27, 15)):
        grid = rng.random((cells, cells, 3), dtype=np.float32) * 2 - 1
        noise += strength * _enlarge(grid, 27, 27)
    canvas = _enlarge(noise, height, width)
    canvas += rng.integers(50, 206, 3)
    return np.clip(canvas, 0, 255, out=canvas)


def _enlarge(image: Pixels, height: int, width: int) -> Pixels:
    """Bilinear, corner to corner. Plain arithmetic: to the bit the same on every machine."""
    for axis, size in ((0, height), (1, width)):
        place = np.arange(size) * (image.shape[axis] - 1) / (size - 1)
        low = np.minimum(place.astype(np.int64), image.shape[axis] - 2)
        share = (
            (place - low)
            .astype(np.float32)
            .reshape([-1 if axis == each else 1 for each in range(image.ndim)])
        )
        image = image.take(low, axis) * (1 - share) + image.take(low + 1, axis) * share
    return image
