"""Reads one picture from a file, of any mode and orientation, as RGB of eight bits."""

from __future__ import annotations

import os
import struct
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from PIL import Image, ImageOps, UnidentifiedImageError
from torch import Tensor

from nars.errors import DataError

__all__ = ["DAMAGE", "READERS", "SUFFIXES", "Picture", "read_rgb", "read_square", "to_rgb"]

READERS = min(8, os.cpu_count() or 1)
"""Threads that decode; Pillow releases Python's lock meanwhile."""

SUFFIXES = frozenset({".bmp", ".gif", ".jpeg", ".jpg", ".pgm", ".png", ".ppm", ".tif", ".tiff", ".webp"})
"""Suffixes of the files that are taken for pictures."""

DAMAGE = (
    OSError,  # `UnidentifiedImageError` is one
    SyntaxError,
    ValueError,
    EOFError,
    IndexError,
    struct.error,
    zlib.error,
    Image.DecompressionBombError,
)
"""Exceptions that Pillow's decoders raise on damaged files."""


class Picture(NamedTuple):
    """An image that is not read yet.

    `open(side)` returns it as RGB or raises `DataError`. It may be smaller than the original, but
    its shorter side has at least `side` pixels if the original's has.
    """

    name: str
    label: int
    open: Callable[[int], Image.Image]


def read_rgb(path: str | Path, side: int | None = None) -> Image.Image:
    """The picture as a viewer shows it: turned as its EXIF says, transparency over white.

    With `side`, a JPEG may be decoded at a fraction of its size, as long as its shorter side keeps
    at least `side` pixels. Raises `DataError` that names the file.
    """
    try:
        with Image.open(path) as image:
            if side is not None:
                shrink = min(image.size) / side
                image.draft(None, (round(image.width / shrink), round(image.height / shrink)))
            return to_rgb(image)
    except DAMAGE as error:
        reason = "not an image" if isinstance(error, UnidentifiedImageError) else error
        raise DataError(f"cannot read image {path}: {reason}") from None


def to_rgb(image: Image.Image) -> Image.Image:
    """The image, of any mode, as eight-bit RGB. Raises `ValueError` for pixels that are floats."""
    image.load()
    image = ImageOps.exif_transpose(image)
    if image.mode == "F":
        raise ValueError("pixels are floats, expected integers")
    if image.mode.startswith("I"):  # grey of 16 bits, which Pillow may hold in 32
        grey = np.asarray(image, dtype=np.int64) // 257
        image = Image.fromarray(grey.clip(0, 255).astype(np.uint8))
    if image.has_transparency_data:
        layer = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", layer.size, "white"), layer)
    return image.convert("RGB")


def read_square(picture: Picture, side: int) -> Tensor | DataError:
    """The centre square as uint8 [3, side, side], or the error that reading it raised."""
    try:
        image = picture.open(side)
    except DataError as error:
        return error
    square = ImageOps.fit(image, (side, side), Image.Resampling.BILINEAR)
    return torch.from_numpy(np.array(square)).permute(2, 0, 1).contiguous()
