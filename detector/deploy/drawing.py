"""Pictures with what was found in them."""

from __future__ import annotations

import colorsys
import io
from collections.abc import Mapping, Sequence

import numpy as np
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor

__all__ = ["draw", "sheet", "to_png"]

Colour = tuple[int, int, int]

_LEAST_SIDE = 320
"""Smaller pictures are enlarged to it, so that labels can be read."""
_LARGEST_ENLARGEMENT = 4
_GAP = 8


def draw(pixels: Tensor, output: Mapping[str, Tensor], classes: Sequence[str]) -> Image.Image:
    """The picture uint8 [3, H, W] with boxes, names, scores and masks of a detector's output."""
    image = Image.fromarray(np.ascontiguousarray(pixels.permute(1, 2, 0).numpy()))
    scale = min(max(1.0, _LEAST_SIDE / max(image.size)), _LARGEST_ENLARGEMENT)
    count = len(output["scores"])
    if "masks" in output:
        for index in range(count):
            colour = _colour(int(output["labels"][index]))
            mask = Image.fromarray(output["masks"][index, 0].numpy().astype(np.uint8) * 110)
            image.paste(Image.new("RGB", image.size, colour), mask=mask)
    size = [max(1, round(side * scale)) for side in image.size]
    image = image.resize((size[0], size[1]), Image.Resampling.BILINEAR)
    canvas = ImageDraw.Draw(image)
    font = ImageFont.load_default(max(10, min(image.size) // 28))
    for index in reversed(range(count)):  # the surest on top
        label = int(output["labels"][index])
        text = f"{classes[label - 1]} {float(output['scores'][index]):.2f}"
        _draw_box(canvas, [scale * edge for edge in output["boxes"][index].tolist()], text, label, font)
    return image


def sheet(pictures: Sequence[Image.Image], columns: int = 4) -> Image.Image:
    """Pictures side by side, in rows of `columns`."""
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
    place = left, max(0.0, top - (y1 - y0) - 4)
    canvas.rectangle((*place, place[0] + x1 - x0 + 4, place[1] + y1 - y0 + 4), fill=colour)
    canvas.text((place[0] + 2 - x0, place[1] + 2 - y0), text, fill="black", font=font)


def _colour(label: int) -> Colour:
    """Bright hues, neighbouring labels far apart (the golden ratio's multiples)."""
    red, green, blue = colorsys.hsv_to_rgb(label * 0.618034 % 1, 0.65, 1.0)
    return round(255 * red), round(255 * green), round(255 * blue)
