"""Reads one picture from a file, of any mode and orientation, as RGB of eight bits."""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Literal, NamedTuple, TypeVar

import numpy as np
import torch
from PIL import Image, ImageOps
from PIL.TiffImagePlugin import PHOTOMETRIC_INTERPRETATION
from threadpoolctl import threadpool_limits
from torch import Tensor

from nars.errors import DataError
from nars.foreign.pictures import DAMAGE, ENORMOUS, SUFFIXES, open_picture, reason, turn

__all__ = [
    "PAD",
    "READERS",
    "SUFFIXES",
    "Fit",
    "Picture",
    "detail",
    "in_threads",
    "read_rgb",
    "read_square",
    "reading_threads",
    "shown",
    "square",
    "to_rgb",
    "with_remedy",
]

logger = logging.getLogger(__name__)

_Item = TypeVar("_Item")
_Result = TypeVar("_Result")

Fit = Literal["crop", "squash", "letterbox"]
"""Ways in which a picture becomes a square; see `square`."""

READERS = min(16, os.cpu_count() or 1)
"""Threads that decode; Pillow releases Python's lock meanwhile."""

_STRIP = 2**20
"""Pixels that are converted at a time, so that a large picture is not in memory in several modes."""

_PORTION = 64
"""Items that a thread takes at a time: passing on a small picture takes longer than decoding it."""

_SILENT = 10.0
"""Seconds between two lines about how far a reading is."""

PAD = (114, 114, 114)
"""Grey level of the bars of a letterbox: that of YOLOv5, close to the mean of ImageNet."""


class Picture(NamedTuple):
    """An image that is not read yet.

    `open(side)` returns it as RGB or raises `DataError`. It may be smaller than the original, but
    its shorter side has at least `side` pixels if the original's has.
    """

    name: str
    label: int
    open: Callable[[int], Image.Image]
    digest: str = ""
    """Text that changes with the pixels; empty if there is none, so that the pixels are not shared."""
    fit: Fit = "crop"


def read_rgb(path: str | Path, side: int | None = None) -> Image.Image:
    """The picture as a viewer shows it: turned as its EXIF says, transparency over white.

    With `side`, a JPEG may be decoded at a fraction of its size, as long as its shorter side keeps
    at least `side` pixels. Raises `DataError` that names the file.
    """
    try:
        with open_picture(path) as image:
            return shown(image, side)
    except DAMAGE as error:
        raise DataError(f"cannot read image {path}: {reason(error)}") from None


def shown(image: Image.Image, side: int | None) -> Image.Image:
    """An opened image as `read_rgb` returns it. Raises one of `DAMAGE`."""
    if side is not None:
        shrink = min(image.size) / side
        image.draft(None, (round(image.width / shrink), round(image.height / shrink)))
    with turn(image):
        made = to_rgb(image)
        factor = 1 if side is None else min(made.size) // side
        return made.reduce(factor) if made.width * made.height > ENORMOUS and factor > 1 else made


def to_rgb(image: Image.Image) -> Image.Image:
    """The image, of any mode, as eight-bit RGB.

    Raises `ValueError` for pixels whose black and white are not known: floats, and integers of a TIFF that
    are neither of 8 nor of 16 bits, or have a sign.
    """
    image.load()
    if image.mode == "I" and image.format == "TIFF":
        raise ValueError("pixels are integers of 32 bits or with a sign, expected 8 or 16 bits without")
    negative = _is_negative(image)
    image = ImageOps.exif_transpose(image)
    if image.mode == "F":
        raise ValueError("pixels are floats, expected integers of 8 or 16 bits")
    made = _in_strips(image)
    return ImageOps.invert(made) if negative else made


def _in_strips(image: Image.Image) -> Image.Image:
    """The image as eight-bit RGB, of which a strip at a time is held in other modes."""
    rows = max(1, _STRIP // image.width)
    if image.height <= rows:
        return _converted(image)
    made = Image.new("RGB", image.size)
    for top in range(0, image.height, rows):
        made.paste(_converted(image.crop((0, top, image.width, min(top + rows, image.height)))), (0, top))
    return made


def _is_negative(image: Image.Image) -> bool:
    """Whether white is zero in a TIFF of 16 bits; Pillow turns those of 8 bits itself."""
    tags = getattr(image, "tag_v2", {})
    return image.mode.startswith("I;16") and tags.get(PHOTOMETRIC_INTERPRETATION) == 0


def _converted(image: Image.Image) -> Image.Image:
    """A strip of an image as eight-bit RGB."""
    if image.mode.startswith("I"):  # grey of 16 bits, which Pillow may hold in 32
        grey = np.asarray(image, dtype=np.int64) // 257
        image = Image.fromarray(grey.clip(0, 255).astype(np.uint8))
    if image.has_transparency_data:
        layer = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", layer.size, "white"), layer)
    return image.convert("RGB")


def read_square(picture: Picture, side: int) -> Tensor | DataError:
    """The picture as a square, uint8 [3, side, side], or the error that reading it raised."""
    try:
        image = picture.open(side)
    except DataError as error:
        return error
    return square(image, side, picture.fit)


def reading_threads(count: int = READERS) -> ThreadPoolExecutor:
    """Threads that decode, each on one core.

    PyTorch would divide the work of each of them among all cores again.
    """
    return ThreadPoolExecutor(count, initializer=_alone)


def in_threads(read: Callable[[_Item], _Result], items: Sequence[_Item], doing: str) -> Iterator[_Result]:
    """Yield `read` of each item in order, and log from time to time how far that is, as ``reading ...``.

    `doing` says in words what is done, and with what.
    """

    def some(start: int) -> list[_Result]:
        return [read(item) for item in items[start : start + _PORTION]]

    started = told = time.monotonic()
    starts = range(0, len(items), _PORTION)
    with reading_threads() as pool:
        for start, results in zip(starts, pool.map(some, starts), strict=True):
            yield from results
            now, done = time.monotonic(), start + len(results)
            if now - told > _SILENT:
                told, left = now, (now - started) * (len(items) / done - 1)
                logger.warning("%s: %d of %d, about %d s left", doing, done, len(items), left)


def _alone() -> None:
    """Let this thread, and no other, compute by itself."""
    torch.get_num_threads()  # by which PyTorch sets the number of a new thread, for once
    threadpool_limits(1, "openmp")


def with_remedy(error: DataError) -> DataError:
    """The error of a picture that cannot be read, with the remedy."""
    return DataError(str(error), "mend or remove it, or leave out such images with --drop-bad")


def detail(size: tuple[int, int], fit: Fit) -> int:
    """The side of the smallest square that shows every pixel of a picture of this width and height."""
    return min(size) if fit == "crop" else max(size)


def square(image: Image.Image, side: int, fit: Fit = "crop") -> Tensor:
    """An RGB image as uint8 [3, side, side], bilinear.

    ``crop`` takes the centre square, ``squash`` the whole image with another aspect, and ``letterbox`` the
    whole image in its own aspect, centred on grey (`PAD`).
    """
    bilinear = Image.Resampling.BILINEAR
    if fit == "crop":
        fitted = ImageOps.fit(image, (side, side), bilinear)
    elif fit == "squash":
        fitted = image.resize((side, side), bilinear)
    else:
        longest = max(image.size)
        width, height = (max(1, round(length * side / longest)) for length in image.size)
        fitted = Image.new("RGB", (side, side), PAD)
        fitted.paste(image.resize((width, height), bilinear), ((side - width) // 2, (side - height) // 2))
    return torch.from_numpy(np.array(fitted)).permute(2, 0, 1).contiguous()
