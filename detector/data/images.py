"""Reads any image file as an RGB tensor.

Grey, palette, CMYK and 16-bit images become 8-bit RGB, transparent pixels become white, and
only the first frame of a moving picture is read.

Orientation: a camera may store a turned picture with an EXIF note that says how. The boxes of
a data set belong to the picture as stored, unless the data set states the size of the turned
picture; then it is turned before use. (A TIFF is always turned.) Boxes that are known to belong to the
turned picture, though its size does not say so, are turned back (`Probe.stored`). A picture that belongs
to no data set, as in prediction, is turned as its note says.
"""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError
from torch import Tensor

from detector.data.records import ImageRecord, Subset
from nars.data.pictures import shown
from nars.errors import DataError
from nars.foreign.paths import read_bytes
from nars.foreign.pictures import DAMAGE, open_picture, reason, turn

__all__ = ["Probe", "glance", "load", "probe", "read", "restated", "shown_size"]

_ORIENTATION = 0x0112
"""The EXIF tag of the orientation; values 5 to 8 exchange width and height, 2 to 4 do not."""

_UNSUITED = {"F": "floats", "I": "integers of 32 bits or with a sign"}
"""Pixels whose black and white are not known, by their mode; ``I`` is such in a TIFF alone."""

_FIRST_TURNED = 5
"""The lowest orientation that exchanges width and height."""


_FROM_RIGHT, _FROM_BELOW = (2, 3, 7, 8), (3, 4, 6, 7)
"""Orientations whose stored columns count from the right of what is shown, and whose rows from below, after
width and height are exchanged. Source: Exif 2.32, tag 0x0112."""


class Probe(NamedTuple):
    """The properties of an image file; `digest` is None if the file was not read whole."""

    width: int
    height: int
    orientation: int
    digest: bytes | None

    @property
    def turned(self) -> bool:
        """Whether the EXIF note exchanges width and height."""
        return self.orientation >= _FIRST_TURNED

    @property
    def shown(self) -> tuple[int, int]:
        """Width and height as a viewer shows the picture."""
        return (self.height, self.width) if self.turned else (self.width, self.height)

    @property
    def is_turned_unseen(self) -> bool:
        """Whether the EXIF note turns or mirrors the picture, and its size does not show it."""
        return self.orientation > 1 and self.shown == (self.width, self.height)

    def stored(self, x: float, y: float) -> tuple[float, float]:
        """The place in the picture as stored of one in the picture as shown, both in 0..1."""
        across, down = (y, x) if self.turned else (x, y)
        return (
            1 - across if self.orientation in _FROM_RIGHT else across,
            1 - down if self.orientation in _FROM_BELOW else down,
        )

    def fits(self, width: int, height: int) -> bool:
        """Whether a stated size is that of the picture as stored or as turned."""
        return (width, height) in {(self.width, self.height), self.shown}


def load(subset: Subset, image: ImageRecord) -> Tensor:
    """Read the image of a record as uint8 RGB [3, H, W], in the orientation of its boxes.

    Raises `DataError` that names a file which is missing, damaged, or not of the stated size.
    """
    if subset.pixels is not None:
        return _tensor(subset.pixels[image.id])
    return read(subset.path(image), (image.width, image.height))


def read(path: str | Path, size: tuple[int, int] | None = None) -> Tensor:
    """Read an image file as uint8 RGB [3, H, W].

    `size` is the width and height that a data set states. Raises `DataError` that names the
    file and its fault.
    """
    with _open(Path(path)) as image:
        if size is not None and (size == image.size or not _turns(image)):
            _check_size(path, image.size, size)
            if _orientation(image) > 1:
                image.getexif().pop(_ORIENTATION)  # keeps `shown` from turning the image
        try:
            pixels = np.array(shown(image, None))
        except DAMAGE as error:
            raise DataError(f"{path}: the image cannot be decoded ({reason(error)})") from None
    if size is not None:
        _check_size(path, pixels.shape[1::-1], size)
    return _tensor(pixels)


def probe(path: Path, decode: bool = True) -> Probe:
    """Read size and orientation; with `decode`, decode the file to its end at low resolution.

    Raises `DataError` that names the file.
    """
    if not decode:
        with _open(path) as image:
            return Probe(*image.size, _orientation(image), None)
    try:
        content = read_bytes(path)
    except OSError as error:
        raise DataError(f"{path}: {reason(error)}") from None
    with _open(path, content) as image:
        probed = Probe(*image.size, _orientation(image), hashlib.blake2b(content, digest_size=16).digest())
        try:
            image.draft("RGB", (1, 1))  # JPEG: the whole stream is read, an eighth of it transformed
            with turn(image):
                image.load()
            if image.mode == "F" or (image.mode == "I" and image.format == "TIFF"):  # as `shown` refuses
                raise ValueError(f"pixels are {_UNSUITED[image.mode]}, expected 8 or 16 bits without a sign")
        except DAMAGE as error:
            raise DataError(f"{path}: the image cannot be decoded ({reason(error)})") from None
    return probed


def restated(subset: Subset, image: ImageRecord, probed: Probe) -> ImageRecord | None:
    """Return the image with its real size, or None if its boxes may belong to another size.

    The correction is safe if there are no boxes, and also if no size or the transposed one was stated and
    every box ends inside the real image.
    """
    boxes = [annotation.box for annotation in subset.by_image[image.id]]
    fits = all(
        left + width <= probed.width + 1 and top + height <= probed.height + 1
        for left, top, width, height in boxes
    )
    if boxes and not (fits and (image.width, image.height) in {(0, 0), (probed.height, probed.width)}):
        return None
    return image._replace(width=probed.width, height=probed.height)


def glance(path: Path) -> Probe:
    """Return size and orientation of an image file; a size of 0, 0 if it cannot be opened."""
    try:
        return probe(path, decode=False)
    except DataError:
        return Probe(0, 0, 1, None)


def shown_size(path: Path) -> tuple[int, int]:
    """Return width and height as a viewer shows the picture; 0, 0 if it cannot be opened."""
    return glance(path).shown


def _open(path: Path, content: bytes | None = None) -> Image.Image:
    try:
        return open_picture(path if content is None else content)
    except FileNotFoundError:
        raise DataError(f"{path}: no such file") from None
    except UnidentifiedImageError as error:
        raise DataError(f"{path}: {reason(error)}") from None
    except DAMAGE as error:
        raise DataError(f"{path}: the image cannot be opened ({reason(error)})") from None


def _check_size(path: str | Path, real: tuple[int, ...], stated: tuple[int, int]) -> None:
    if real != stated:
        shown, given = (f"{width}x{height}" for width, height in (real, stated))
        raise DataError(f"{path}: the image is {shown}, the data set states {given}")


def _turns(image: Image.Image) -> bool:
    """Whether the EXIF note exchanges width and height."""
    return _orientation(image) >= _FIRST_TURNED


def _orientation(image: Image.Image) -> int:
    if image.format == "TIFF":  # Pillow turns it while it decodes, and its size says so
        return 1
    try:
        value = image.getexif().get(_ORIENTATION, 1)
    except DAMAGE:  # the pixels may be whole although the EXIF block is damaged
        return 1
    return value if isinstance(value, int) and 1 <= value <= 8 else 1


def _tensor(pixels: NDArray[np.uint8]) -> Tensor:
    return torch.from_numpy(np.ascontiguousarray(pixels.transpose(2, 0, 1)))
