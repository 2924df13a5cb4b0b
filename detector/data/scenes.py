"""``digit-scenes``: real handwritten digits on textured canvases, as a detection data set.

It is made in memory in a second or two, the same on every machine and every time: 400 scenes
to train on and 100 to validate on, with up to five digits each; a twentieth has none. The
digits are scikit-learn's (1797 images of 8x8 pixels: UCI Optical Recognition of Handwritten
Digits), enlarged to between a seventh and a half of the canvas. No digit is in both splits.
The digits in val are those that the classification data ``digits`` keeps for its test, so a
classifier trained on that data has not seen them.
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
"""The name of this data set on the command line."""

_COUNTS = np.repeat([0, 1, 2, 3, 4, 5], [1, 3, 4, 5, 4, 3])
"""Numbers of digits in a scene, repeated by how likely each is."""

_ATTEMPTS = 20
"""Positions tried for a digit before it is left out of a crowded scene."""

_Pixels = NDArray[np.float32]


class _Glyphs(NamedTuple):
    """The digits of one split."""

    images: _Pixels
    """Images [N, 10, 10] from 0 (paper) to 1 (ink), with a margin of paper."""
    labels: NDArray[np.int64]


class _PlacedDigit(NamedTuple):
    """A digit in a scene."""

    label: int
    mask: NDArray[np.bool_]
    """The pixels [H, W] of the scene that are its ink."""


def make(train: int = 400, val: int = 100, side: int = 160, seed: int = 0) -> CocoData:
    """Make scenes with a longest side of `side` pixels: square, and 5:4 in both orientations."""
    digits = load_digits()
    train_part, val_part, test_part = cut(digits.target, 2)  # as nars.data.arrays cuts it
    inks = np.pad((digits.images / 16).astype(np.float32), ((0, 0), (1, 1), (1, 1)))
    pools = {"train": np.concatenate([train_part, val_part]), "val": test_part}
    counts = {"train": train, "val": val}
    parts = {
        name: _subset(name, _Glyphs(inks[pool], digits.target[pool]), counts[name], side, seed)
        for name, pool in pools.items()
    }
    return CocoData(**parts)


def _subset(name: str, glyphs: _Glyphs, count: int, side: int, seed: int) -> Subset:
    images: list[ImageRecord] = []
    annotations: list[Annotation] = []
    pixels: dict[int, NDArray[np.uint8]] = {}
    for image_id in range(1, count + 1):
        # Every scene has its own generator, so a larger count leaves the first scenes as they are.
        rng = np.random.default_rng([seed, ord(name[0]), image_id])
        short = side * 4 // 5
        height, width = ((side, side), (short, side), (side, short))[rng.integers(3)]
        canvas, placed = _scene(rng, glyphs, height, width)
        images.append(ImageRecord(image_id, f"{name}-{image_id:05}.png", width, height))
        pixels[image_id] = canvas
        for digit in placed:
            annotations.append(_annotation(len(annotations) + 1, image_id, digit))
    categories = tuple(Category(digit + 1, str(digit), "digit") for digit in range(10))
    source = Path(NAME)
    layout = "scenes that come with nars"
    return Subset(name, source, source, tuple(images), tuple(annotations), categories, pixels, layout)


def _annotation(id: int, image_id: int, digit: _PlacedDigit) -> Annotation:
    rows, columns = np.flatnonzero(digit.mask.any(1)), np.flatnonzero(digit.mask.any(0))
    top, left = int(rows[0]), int(columns[0])
    return Annotation(
        id=id,
        image_id=image_id,
        category_id=digit.label + 1,
        box=(float(left), float(top), float(columns[-1] - left + 1), float(rows[-1] - top + 1)),
        area=float(digit.mask.sum()),
        segmentation=masks.encode(digit.mask),
    )


def _scene(
    rng: np.random.Generator, glyphs: _Glyphs, height: int, width: int
) -> tuple[NDArray[np.uint8], list[_PlacedDigit]]:
    """Draw a canvas [H, W, 3] and its digits, no two of which overlap."""
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
        placed.append(_PlacedDigit(int(glyphs.labels[number]), mask))
    canvas += rng.integers(-6, 7, canvas.shape, dtype=np.int8)  # grain, as of film
    return np.clip(canvas + 0.5, 0, 255).astype(np.uint8), placed


def _size(rng: np.random.Generator, side: int) -> int:
    """Draw a size from a seventh to half of the side; sizes below and above a quarter are equally likely."""
    octave = rng.integers(2)
    low, high = ((side // 7, side // 4), (side // 4, side // 2))[octave]
    return int(rng.integers(low, high + 1))


def _free_spot(rng: np.random.Generator, taken: NDArray[np.bool_], size: int) -> tuple[slice, slice] | None:
    """Draw a square of `size` pixels that touches no digit; None if no attempt finds one."""
    height, width = taken.shape
    for _ in range(_ATTEMPTS):
        top, left = rng.integers(height - size + 1), rng.integers(width - size + 1)
        spot = slice(top, top + size), slice(left, left + size)
        if not taken[spot].any():
            return spot
    return None


def _contrast(rng: np.random.Generator, patch: _Pixels) -> _Pixels:
    """Draw a colour that stands out: light on dark ground, dark on light ground."""
    shade = rng.integers(0, 60, 3)
    return (255 - shade if patch.mean() < 128 else shade).astype(np.float32)


def _texture(rng: np.random.Generator, height: int, width: int) -> _Pixels:
    """Draw coloured value noise [H, W, 3] in 0..255: three octaves around a random ground."""
    noise = np.zeros((27, 27, 3), dtype=np.float32)
    for cells, strength in ((3, 40), (9, 25), (27, 15)):
        grid = rng.random((cells, cells, 3), dtype=np.float32) * 2 - 1
        noise += strength * _enlarge(grid, 27, 27)
    canvas = _enlarge(noise, height, width)
    canvas += rng.integers(50, 206, 3)
    return np.clip(canvas, 0, 255, out=canvas)


def _enlarge(image: _Pixels, height: int, width: int) -> _Pixels:
    """Enlarge an image bilinearly, corners aligned, by arithmetic that is exact on every machine."""
    for axis, size in ((0, height), (1, width)):
        position = np.arange(size) * (image.shape[axis] - 1) / (size - 1)
        low = np.minimum(position.astype(np.int64), image.shape[axis] - 2)
        along_axis = [1] * image.ndim
        along_axis[axis] = -1
        share = (position - low).astype(np.float32).reshape(along_axis)
        image = image.take(low, axis) * (1 - share) + image.take(low + 1, axis) * share
    return image
