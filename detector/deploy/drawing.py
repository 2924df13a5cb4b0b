"""Draws detections into pictures."""

from __future__ import annotations

import colorsys
import io
from collections.abc import Sequence

import numpy as np
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor

from detector.model.targets import Detections

__all__ = ["draw", "sheet", "to_png"]

_SMALLEST_SIDE = 320
"""Pixels of the longer side to which smaller pictures are enlarged, so labels can be read."""
_LARGEST_ENLARGEMENT = 4
"""Factor by which a picture is enlarged at most."""
_GAP = 8
"""Pixels between the pictures of a sheet."""
_MASK_OPACITY = 110
"""How much of a mask's colour covers the picture, of 255."""


def draw(pixels: Tensor, detections: Detections, classes: Sequence[str]) -> Image.Image:
    """Draw boxes, class names, scores and masks of detections into a picture uint8 [3, H, W]."""
    image = Image.fromarray(np.ascontiguousarray(pixels.permute(1, 2, 0).numpy()))
    scale = min(max(1.0, _SMALLEST_SIDE / max(image.size)), _LARGEST_ENLARGEMENT)
    count = len(detections["scores"])
    if "masks" in detections:
        for index in range(count):
            colour = _colour(int(detections["labels"][index]))
            mask = Image.fromarray(detections["masks"][index, 0].numpy().astype(np.uint8) * _MASK_OPACITY)
            image.paste(Image.new("RGB", image.size, colour), mask=mask)
    size = [max(1, round(side * scale)) for side in image.size]
    image = image.resize((size[0], size[1]), Image.Resampling.BILINEAR)
    canvas = ImageDraw.Draw(image)
    font = ImageFont.load_default(max(10, min(image.size) // 28))
    for index in reversed(range(count)):  # the highest score on top
        label = int(detections["labels"][index])
        text = f"{classes[label - 1]} {float(detections['scores'][index]):.2f}"
        _draw_box(canvas, [scale * edge for edge in detections["boxes"][index].tolist()], text, label, font)
    return image


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


def _draw_box(
    canvas: ImageDraw.ImageDraw,
    box: Sequence[float],
    text: str,
    label: int,
    font: ImageFont.FreeTypeFont | ImageFont.ImageFont,
) -> None:
    colour = _colour(label)
    left, top, right, bottom = box
    canvas.rectangle((left, top, max(left, right - 1), max(top, bottom - 1)), outline=colour, width=2)
    x0, y0, x1, y1 = canvas.textbbox((0, 0), text, font=font)
    label_top = max(0.0, top - (y1 - y0) - 4)
    canvas.rectangle((left, label_top, left + x1 - x0 + 4, label_top + y1 - y0 + 4), fill=colour)
    canvas.text((left + 2 - x0, label_top + 2 - y0), text, fill="black", font=font)


def _colour(label: int) -> tuple[int, int, int]:
    """Return a bright colour; hues of neighbouring labels differ much (multiples of the golden ratio)."""
    red, green, blue = colorsys.hsv_to_rgb(label * 0.618034 % 1, 0.65, 1.0)
    return round(255 * red), round(255 * green), round(255 * blue)
