"""Changes of colours for a whole batch, every image by its own numbers."""

from __future__ import annotations

import math

import torch
from torch import Tensor

__all__ = ["LARGEST_CHANGE", "LARGEST_TURN", "coloured"]

LARGEST_CHANGE, LARGEST_TURN = 0.3, 0.02
"""Limits of brightness, contrast and saturation around 1, and of hue in turns of the colour circle."""

_GREY = (0.299, 0.587, 0.114)
"""Shares of red, green and blue in the brightness of a pixel (ITU-R BT.601), as in torchvision."""


def coloured(images: Tensor, changes: Tensor, inside: Tensor) -> Tensor:
    """Change brightness, contrast, saturation and hue of RGB images [N, 3, H, W] in 0..1.

    `changes` [N, 4] are three factors and the turn of the hue; 1, 1, 1, 0 change nothing. Contrast changes
    around the mean of the pixels that are `inside` [N, H, W] of the image.
    """
    brightness, contrast, saturation, turn = (each[:, None, None, None] for each in changes.unbind(1))
    images = (images * brightness).clamp(0, 1)
    shown = inside[:, None].to(images.dtype)
    level = (_grey(images) * shown).sum((2, 3), keepdim=True) / shown.sum((2, 3), keepdim=True)
    images = _blended(images, level, contrast)
    images = _blended(images, _grey(images), saturation)
    # A rotation around the grey axis (Rodrigues' formula, with the axis (1, 1, 1) / sqrt 3).
    angle = 2 * math.pi * turn
    mean = images.mean(1, keepdim=True)
    across = (images.roll(1, 1) - images.roll(-1, 1)) / math.sqrt(3)
    return (torch.cos(angle) * (images - mean) + torch.sin(angle) * across + mean).clamp(0, 1)


def _grey(images: Tensor) -> Tensor:
    red, green, blue = (share * each for share, each in zip(_GREY, images.unbind(1), strict=True))
    return (red + green + blue)[:, None]


def _blended(images: Tensor, others: Tensor, share: Tensor) -> Tensor:
    return (share * images + (1 - share) * others).clamp(0, 1)
