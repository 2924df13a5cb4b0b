"""Opens pictures that others made.

Pillow decides by a file's content who decodes it, whatever its name. The decoders listed here run no other
program and open no further file inside of the picture; Pillow's for PostScript would start Ghostscript.
"""

from __future__ import annotations

import io
import struct
import threading
import warnings
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path

from PIL import Image, UnidentifiedImageError

from nars.foreign.limits import MOST_PIXELS
from nars.foreign.paths import open_file
from nars.foreign.signatures import heic_advice, is_heic

__all__ = ["DAMAGE", "ENORMOUS", "FORMATS", "SUFFIXES", "open_picture", "reason", "turn"]

FORMATS = (
    *("AVIF", "BMP", "DIB", "GIF", "JPEG", "JPEG2000", "PCX", "PNG"),
    *("PPM", "QOI", "SGI", "SUN", "TGA", "TIFF", "WEBP"),
)
"""Pillow's names of the formats that are opened; MPO, of stereo cameras, is opened as JPEG."""

SUFFIXES = frozenset(
    {
        *(".apng", ".avif", ".bmp", ".dib", ".gif", ".j2k", ".jfif", ".jp2", ".jpe", ".jpeg", ".jpg"),
        *(".pbm", ".pcx", ".pgm", ".png", ".pnm", ".ppm", ".qoi", ".ras", ".sgi", ".tga", ".tif", ".tiff"),
        ".webp",
    }
)
"""Suffixes of files of these formats."""

ENORMOUS = 2**26
"""Pixels above which pictures are decoded one at a time, and made smaller at once if that is allowed."""

DAMAGE = (
    OSError,  # `UnidentifiedImageError` is one
    SyntaxError,
    ValueError,
    EOFError,
    IndexError,
    KeyError,
    TypeError,
    AttributeError,
    OverflowError,
    MemoryError,
    RuntimeError,  # libavif's; `RecursionError` and `NotImplementedError` are such
    struct.error,
    zlib.error,
    Image.DecompressionBombError,
    Image.DecompressionBombWarning,
)
"""Exceptions that Pillow's decoders raise on damaged files."""

_BEGINNING = 12
"""Bytes that tell a HEIC picture."""

_TURN = threading.Lock()
"""The thread that decodes an enormous picture holds it."""

# Pillow's own limit is a global that warns in Python's words; ours is checked right after the size is read.
Image.MAX_IMAGE_PIXELS = max(Image.MAX_IMAGE_PIXELS or 0, MOST_PIXELS)
warnings.filterwarnings("ignore", category=Image.DecompressionBombWarning)


def open_picture(source: str | Path | bytes) -> Image.Image:
    """Open a picture, whose size is then known and whose pixels are not read yet.

    Raises one of `DAMAGE`; `reason` says why in words.
    """
    stream = io.BytesIO(source) if isinstance(source, bytes) else open_file(source)
    try:
        image = Image.open(stream, formats=_formats())
        _check_size(image)
    except UnidentifiedImageError:
        stream.seek(0)
        beginning = stream.read(_BEGINNING)
        stream.close()
        suffix = "" if isinstance(source, bytes) else Path(source).suffix.lower()
        advice = heic_advice([".heic" if is_heic(beginning) else suffix])
        if advice:
            raise ValueError(advice) from None
        raise
    except BaseException:
        stream.close()
        raise
    image._exclusive_fp = True  # closed with the image, as of a path
    return image


@cache
def _formats() -> tuple[str, ...]:
    """Return those of the formats that this Pillow was built with."""
    Image.init()
    return tuple(name for name in FORMATS if name in Image.OPEN)


def _check_size(image: Image.Image) -> None:
    """Raise `ValueError` for a picture of more pixels than are read."""
    if image.width * image.height > MOST_PIXELS:
        raise ValueError(_too_large(f"{image.width}x{image.height}"))


@contextmanager
def turn(image: Image.Image) -> Iterator[None]:
    """Wait until no other thread decodes an enormous picture, if this one is enormous."""
    if image.width * image.height <= ENORMOUS:
        yield
        return
    with _TURN:
        yield


def reason(error: Exception) -> str:
    """Say in one line why a picture cannot be read."""
    if isinstance(error, UnidentifiedImageError):
        return "not an image"
    if isinstance(error, Image.DecompressionBombError | Image.DecompressionBombWarning):
        return _too_large("larger")
    if isinstance(error, MemoryError):
        return "there is not enough memory for it"
    text = (isinstance(error, OSError) and error.strerror) or str(error) or type(error).__name__
    return text.splitlines()[0][:160]


def _too_large(size: str) -> str:
    return f"it is {size}, and {MOST_PIXELS // 10**6} million pixels are the most: make it smaller"
