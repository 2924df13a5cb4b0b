"""Resizes, augments and normalizes whole batches between storage and network."""

from __future__ import annotations

from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor

__all__ = ["augment", "grey", "normalise", "resize"]

_LUMA = (0.299, 0.587, 0.114)
"""Weights of red, green and blue in grey, as in Pillow's mode L (ITU-R 601-2)."""


def resize(images: Tensor, resolution: int) -> Tensor:
    """Resize uint8 [N, C, H, W] to uint8 [N, C, R, R]: bilinear, antialiased if it shrinks.

    On a GPU, which computes in float, pixels may differ by one level from those of a CPU.
    """
    if images.shape[-2:] == (resolution, resolution):
        return images
    size = (resolution, resolution)
    if images.is_cuda:
        floats = F.interpolate(images.float(), size, mode="bilinear", antialias=True, align_corners=False)
        return floats.round_().clamp_(0, 255).to(torch.uint8)
    return F.interpolate(images, size, mode="bilinear", antialias=True, align_corners=False)


def augment(
    images: Tensor, kind: Literal["none", "shift", "flip_shift", "flip"], generator: torch.Generator
) -> Tensor:
    """Shift every image by its own offset of up to an eighth of the side, flip half of them.

    `images` are [N, C, R, R]; pixels that a shift uncovers repeat the border. `generator` is a CPU
    one. `kind` says whether there are shifts and flips.
    """
    if kind == "none":
        return images
    count, _, side, _ = images.shape
    if kind != "shift":
        flip = torch.rand(count, generator=generator) < 0.5
        images = torch.where(
            flip.to(images.device, non_blocking=True).view(-1, 1, 1, 1), images.flip(-1), images
        )
    reach = side // 8
    if kind == "flip" or not reach:
        return images
    offset = torch.randint(2 * reach + 1, (2, count), generator=generator)
    offset = offset.to(images.device, non_blocking=True)
    # Every window of the padded batch as a view, [N, C, 2 * reach + 1, 2 * reach + 1, R, R];
    # indexing copies one window for each image.
    padded = _repeat_border(images, reach)
    windows = padded.unfold(2, side, 1).unfold(3, side, 1)
    return windows[torch.arange(count, device=images.device), :, offset[0], offset[1]]


def normalise(images: Tensor, mean: Tensor, std: Tensor) -> Tensor:
    """Normalize uint8 [N, 1 or 3, R, R] to float [N, C, R, R] in channels_last.

    `mean` and `std` are [C], in 0..1. One channel of images is repeated for three; three become grey for one.
    """
    if images.shape[1] > len(mean):
        images = grey(images)
    scale = (1 / (255 * std)).view(-1, 1, 1)
    shift = (mean / std).view(-1, 1, 1)
    floats = torch.addcmul(-shift, images.to(scale.dtype), scale)
    return floats.contiguous(memory_format=torch.channels_last)


def grey(images: Tensor) -> Tensor:
    """Turn colours [N, 3, H, W] into grey [N, 1, H, W], in whole levels if they are uint8."""
    red, green, blue = (images[:, channel : channel + 1] * weight for channel, weight in enumerate(_LUMA))
    levels = red + green + blue
    return levels if images.is_floating_point() else levels.round_().to(images.dtype)


def _repeat_border(images: Tensor, reach: int) -> Tensor:
    """Do what F.pad(mode="replicate") does, but for uint8, which it does not take."""
    side = images.shape[-1]
    index = torch.arange(-reach, side + reach, device=images.device).clamp_(0, side - 1)
    return images.index_select(2, index).index_select(3, index)
