"""Draws detections into pictures."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from PIL import Image, ImageDraw
from torch import Tensor

from detector.model.targets import Detections
from nars.deploy.drawing import colour, draw_label, enlarged, font_for

__all__ = ["draw"]

_MASK_OPACITY = 110
"""How much of a mask's colour covers the picture, of 255."""


def draw(pixels: Tensor, detections: Detections, classes: Sequence[str]) -> Image.Image:
    """Draw boxes, class names, scores and masks of detections into a picture uint8 [3, H, W]."""
    image = Image.fromarray(np.ascontiguousarray(pixels.permute(1, 2, 0).numpy()))
    count = len(detections["scores"])
    if "masks" in detections:
        for index in range(count):
            flat = Image.new("RGB", image.size, colour(int(detections["labels"][index])))
            mask = Image.fromarray(detections["masks"][index, 0].numpy().astype(np.uint8) * _MASK_OPACITY)
            image.paste(flat, mask=mask)
    image, scale = enlarged(image)
    canvas, font = ImageDraw.Draw(image), font_for(image)
    for index in reversed(range(count)):  # the highest score on top
        label = int(detections["labels"][index])
        text = f"{classes[label - 1]} {float(detections['scores'][index]):.2f}"
        left, top, right, bottom = (scale * edge for edge in detections["boxes"][index].tolist())
        edges = left, top, max(left, right - 1), max(top, bottom - 1)
        canvas.rectangle(edges, outline=colour(label), width=2)
        draw_label(canvas, left, top, text, label, font)
    return image
