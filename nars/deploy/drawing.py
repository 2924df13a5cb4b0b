"""Draws labels into pictures, and keeps what is drawn as files or on one sheet."""

from __future__ import annotations

import colorsys
import io
import re
from collections.abc import Sequence
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont

from nars.deploy.fonts import Font, font_with
from nars.files import write_whole

__all__ = ["Album", "colour", "draw_label", "enlarged", "font_for", "is_of_album", "sheet", "to_png"]

_SMALLEST_SIDE = 320
"""Pixels of the longer side to which smaller pictures are enlarged, so labels can be read."""
_LARGEST_ENLARGEMENT = 4
"""Factor by which a picture is enlarged at most."""
_GAP = 8
"""Pixels between the pictures of a sheet."""
_SHEET = 12
"""Pictures on one sheet."""
_RESULTS = "results.json"
"""File of the answers to all pictures, beside them in a folder."""
_LONGEST_STEM = 200
"""Bytes of a picture's name that a drawn one keeps; systems allow 255, and `write_whole` adds some."""


def enlarged(image: Image.Image) -> tuple[Image.Image, float]:
    """A picture that is large enough for labels, and the factor by which it was enlarged."""
    scale = min(max(1.0, _SMALLEST_SIDE / max(image.size)), _LARGEST_ENLARGEMENT)
    width, height = (max(1, round(side * scale)) for side in image.size)
    return image.resize((width, height), Image.Resampling.BILINEAR), scale


def font_for(image: Image.Image) -> Font:
    """A font whose size suits that of a picture."""
    return ImageFont.load_default(max(10, min(image.size) // 28))


def draw_label(
    canvas: ImageDraw.ImageDraw, left: float, bottom: float, text: str, label: int, font: Font
) -> None:
    """Write `text` on the colour of `label`, above `bottom` or at the upper edge of the picture."""
    text, font = font_with(text, font)
    x0, y0, x1, y1 = canvas.textbbox((0, 0), text, font=font)
    top = max(0.0, bottom - (y1 - y0) - 4)
    canvas.rectangle((left, top, left + x1 - x0 + 4, top + y1 - y0 + 4), fill=colour(label))
    canvas.text((left + 2 - x0, top + 2 - y0), text, fill="black", font=font)


def colour(label: int) -> tuple[int, int, int]:
    """Return a bright colour; hues of neighbouring labels differ much (multiples of the golden ratio)."""
    red, green, blue = colorsys.hsv_to_rgb(label * 0.618034 % 1, 0.65, 1.0)
    return round(255 * red), round(255 * green), round(255 * blue)


def sheet(pictures: Sequence[Image.Image], columns: int = 4) -> Image.Image:
    """Arrange pictures on a sheet, in rows of `columns`."""
    columns = min(columns, len(pictures))
    width = max(picture.width for picture in pictures) + _GAP
    height = max(picture.height for picture in pictures) + _GAP
    rows = -(-len(pictures) // columns)
    canvas = Image.new("RGB", (columns * width + _GAP, rows * height + _GAP), "white")
    for number, picture in enumerate(pictures):
        row, column = divmod(number, columns)
        canvas.paste(picture, (_GAP + column * width, _GAP + row * height))
    return canvas


def to_png(image: Image.Image) -> bytes:
    """Return the content of a PNG file."""
    buffer = io.BytesIO()
    image.save(buffer, format="PNG")
    return buffer.getvalue()


def is_of_album(name: str) -> bool:
    """Whether a file of this name may be one that an `Album` has written to its folder."""
    return name == _RESULTS or re.fullmatch(r"[0-9]{5,}-.*\.png", name, re.DOTALL) is not None


class Album:
    """Drawn pictures: the first twelve on one sheet if `output` is a PNG file, or each in that folder.

    Without an `output` none is kept.
    """

    def __init__(self, output: Path | None) -> None:
        self.output = output
        self.single = output is not None and output.suffix.lower() == ".png"
        self._drawn: list[Image.Image] = []

    @property
    def is_full(self) -> bool:
        """Whether no further picture is kept."""
        return self.output is None or (self.single and len(self._drawn) == _SHEET)

    def add(self, number: int, name: str, image: Image.Image) -> None:
        """Keep a picture, the one with this number from 1, of the file `name`. Raises `RunError`."""
        if self.output is None or self.is_full:
            return
        if self.single:
            self._drawn.append(image)
        else:
            stem = Path(name).stem.encode(errors="surrogateescape")[:_LONGEST_STEM].decode(errors="ignore")
            write_whole(self.output / f"{number:05}-{stem}.png", to_png(image))

    def finish(self, results: str) -> None:
        """Write the sheet or, in a folder, `results` as ``results.json``. Raises `RunError`."""
        if self.output is None:
            return
        if not self.single:
            write_whole(self.output / _RESULTS, results)
        elif self._drawn:
            write_whole(self.output, to_png(sheet(self._drawn)))
