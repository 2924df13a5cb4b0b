"""RoIAlign of a whole batch by two matrix products.

A pooled value is a mean of bilinear samples on a grid, so it is a sum over rows of sums over columns.
On a CPU the products' gradient is much faster than that of torchvision's operator, which adds to
one pixel after the other.
"""

from __future__ import annotations

import torch
from torch import Tensor

__all__ = ["aligned"]


def aligned(feature: Tensor, boxes: Tensor, resolution: int) -> Tensor:
    """Pool `boxes` [N, S, 4] of a map [N, C, H, W] to [N * S, resolution, resolution, C].

    Boxes are in pixels of the map and reach no further than the map. The result is that of
    `torchvision.ops.roi_align` with ``aligned=True, sampling_ratio=0``.
    """
    images, channels, height, width = feature.shape
    count = boxes.shape[1]
    left, top, right, bottom = (boxes - 0.5).unbind(-1)
    columns = _shares(left, right, resolution, width)  # [N, S, resolution, W]
    rows = _shares(top, bottom, resolution, height)
    across = columns.reshape(images, 1, count * resolution, width) @ feature.permute(0, 2, 3, 1)
    across = across.reshape(images, height, count, resolution * channels).transpose(1, 2)
    return (rows @ across).reshape(-1, resolution, resolution, channels)


def _shares(start: Tensor, end: Tensor, bins: int, side: int) -> Tensor:
    """Return what each pixel of a side counts in each bin [..., bins, side] from `start` to `end` [...]."""
    length = (end - start)[..., None, None]
    samples = torch.ceil(length / bins).clamp(min=1)  # in a bin
    number = torch.arange(-(-(side + 2) // bins), device=start.device)
    bin_of = torch.arange(bins, device=start.device)[:, None]
    places = start[..., None, None] + length / bins * (bin_of + (number + 0.5) / samples)
    counted = (length > 0) & (number < samples) & (places >= -1) & (places <= side)
    pixels = torch.arange(side, device=start.device)
    nearness = (1 - (places.clamp(0, side - 1)[..., None] - pixels).abs()).clamp(min=0)
    return (nearness * (counted / samples)[..., None]).sum(-2)
