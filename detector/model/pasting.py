"""Turns masks of fixed size inside boxes into masks of whole images."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

__all__ = ["paste"]


def paste(masks: Tensor, boxes: Tensor, size: tuple[int, int], threshold: float = 0.5) -> Tensor:
    """Paste probabilities [N, 1, M, M] into their `boxes` [N, 4]: masks bool [N, 1, H, W] of `size`.

    Each pixel's centre is interpolated between the centres of the mask's cells, as in the training
    of the mask head; torchvision rounds boxes to whole pixels first. Boxes must be inside the image.
    """
    height, width = size
    pasted = torch.zeros((len(masks), 1, height, width), dtype=torch.bool, device=masks.device)
    for mask, box, canvas in zip(masks, boxes, pasted, strict=True):
        left, top = (int(edge) for edge in box[:2].floor())
        right, bottom = (int(edge) for edge in box[2:].ceil())
        x = _positions(left, right, box[0], box[2])
        y = _positions(top, bottom, box[1], box[3])
        grid = torch.stack(torch.meshgrid(y, x, indexing="ij")[::-1], dim=-1)
        probabilities = F.grid_sample(mask[None].to(grid.dtype), grid[None], align_corners=False)
        canvas[:, top:bottom, left:right] = probabilities[0] > threshold
    return pasted


def _positions(first: int, end: int, low: Tensor, high: Tensor) -> Tensor:
    """Return the centres of pixels `first`..`end` - 1 on a scale on which the box spans -1..1."""
    centres = torch.arange(first, end, device=low.device, dtype=low.dtype) + 0.5
    return (centres - low) / (high - low) * 2 - 1
