"""Decodes JPEGs that Pillow has read before, without Pillow.

torchvision gives the same pixels, as both use libjpeg-turbo, and its decoder holds Python's lock at no time,
so many threads decode at once. It judges nothing, though: not the size, not what is missing at the end. So it
gets only files that Pillow has read and that have not changed since.
"""

from __future__ import annotations

from pathlib import Path

from PIL import ExifTags, Image
from torch import Tensor
from torchvision.io import ImageReadMode, decode_jpeg, read_file

__all__ = ["Stamp", "again", "remember", "stamp_of"]

_MOST = 2**18
"""Files that are remembered; of more, the last ones."""

Stamp = tuple[int, int, int]
"""Number of a file on its disk, its bytes and the time of its last change in nanoseconds."""

_known: dict[str, tuple[Stamp, int]] = {}
"""The shorter side in pixels of each plain JPEG that Pillow has read, by its path."""


def stamp_of(path: str | Path) -> Stamp | None:
    """Return what changes when a file does; None if there is no such file."""
    try:
        status = Path(path).stat()
    except (OSError, ValueError):  # a null character
        return None
    return status.st_ino, status.st_size, status.st_mtime_ns


def remember(path: str | Path, image: Image.Image, stamp: Stamp | None) -> None:
    """Note that Pillow has read a file, as `image`, which had this stamp before.

    Only colour pictures that are stored upright are noted: of others the decoders differ.
    """
    upright = image.getexif().get(ExifTags.Base.Orientation, 1) == 1
    if stamp is None or image.format != "JPEG" or image.mode != "RGB" or not upright:
        return
    while len(_known) >= _MOST:
        _known.pop(next(iter(_known)), None)
    _known[str(path)] = stamp, min(image.size)


def again(path: str | Path, side: int | None) -> Tensor | None:
    """The pixels uint8 [H, W, 3] of a file that Pillow has read before; None for one that Pillow is to read.

    Pillow also reads what it can decode at half its size, because `side` pixels suffice.
    """
    known = _known.get(str(path))
    if known is None or (side is not None and known[1] >= 2 * side) or known[0] != stamp_of(path):
        return None
    try:
        pixels: Tensor = decode_jpeg(read_file(str(path)), ImageReadMode.RGB)
    except RuntimeError:  # Pillow says what is wrong
        return None
    return pixels.permute(1, 2, 0).contiguous()
