"""Arithmetic of boxes [..., 4] (left, top, right, bottom) for whole batches.

torchvision's functions compute the same for one image, and copy their constants to the device in
every call, for which a GPU has to wait.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

__all__ = ["clipped", "decoded", "encoded", "overlaps"]

Weights = tuple[float, float, float, float]
"""Factors of the four deltas; see `torchvision.models.detection._utils.BoxCoder`."""

_LARGEST_GROWTH = math.log(1000 / 16)
"""Limit of the logarithm of a side's growth, as in Faster R-CNN's published code."""


def overlaps(one: Tensor, other: Tensor) -> Tensor:
    """Return the IoU [..., M, N] of boxes [..., M, 4] with boxes [..., N, 4]; NaN for two empty ones."""
    left, top, right, bottom = (side[..., :, None] for side in one.unbind(-1))
    other_left, other_top, other_right, other_bottom = (side[..., None, :] for side in other.unbind(-1))
    width = (torch.minimum(right, other_right) - torch.maximum(left, other_left)).clamp_(min=0)
    height = (torch.minimum(bottom, other_bottom) - torch.maximum(top, other_top)).clamp_(min=0)
    inside = width.mul_(height)
    areas = (right - left) * (bottom - top)
    other_areas = (other_right - other_left) * (other_bottom - other_top)
    return inside / (areas + other_areas).sub_(inside)


def encoded(boxes: Tensor, bases: Tensor, weights: Weights) -> Tensor:
    """Return the deltas [..., 4] that turn `bases` into `boxes`; not finite for a box without area."""
    size, base_size = boxes[..., 2:] - boxes[..., :2], bases[..., 2:] - bases[..., :2]
    centre, base_centre = boxes[..., :2] + 0.5 * size, bases[..., :2] + 0.5 * base_size
    x, y = ((centre - base_centre) / base_size).unbind(-1)
    width, height = torch.log(size / base_size).unbind(-1)
    deltas = zip((x, y, width, height), weights, strict=True)
    return torch.stack([weight * delta for delta, weight in deltas], dim=-1)


def decoded(deltas: Tensor, bases: Tensor) -> Tensor:
    """Return the boxes [..., 4] that deltas of weight 1 make of `bases`."""
    base_size = bases[..., 2:] - bases[..., :2]
    centre = deltas[..., :2] * base_size + (bases[..., :2] + 0.5 * base_size)
    half = 0.5 * (torch.exp(deltas[..., 2:].clamp(max=_LARGEST_GROWTH)) * base_size)
    return torch.cat([centre - half, centre + half], dim=-1)


def clipped(boxes: Tensor, sizes: Tensor) -> Tensor:
    """Clip the boxes [N, P, 4] of every image to its height and width in `sizes` [N, 2]."""
    limits = sizes.flip(1).repeat(1, 2)[:, None].to(boxes.dtype)
    return torch.minimum(boxes.clamp(min=0), limits)
