"""From masks of fixed size inside boxes to masks of whole images."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

__all__ = ["paste"]


def paste(masks: Tensor, boxes: Tensor, size: tuple[int, int], threshold: float = 0.5) -> Tensor:
    """Masks bool [N, 1, H, W] of an image of `size` from probabilities [N, 1, M, M] in `boxes`.

    Each pixel's centre is looked up between the centres of the mask's cells, as the mask head was
    trained; torchvision rounds boxes to whole pixels first. Boxes are to lie within the image.
    """
    height, width = size
    pasted = torch.zeros((len(masks), 1, height, width), dtype=torch.bool, device=masks.device)
    for mask, box, canvas in zip(masks, boxes, pasted, strict=True):
        left, top = (int(edge) for edge in box[:2].floor())
        right, bottom = (int(edge) for edge in box[2:].ceil())
        x = _places(left, right, box[0], box[2])
        y = _places(top, bottom, box[1], box[3])
        grid = torch.stack(torch.meshgrid(y, x, indexing="ij")[::-1], dim=-1)
        found = F.grid_sample(mask[None].to(grid.dtype), grid[None], align_corners=False)
        canvas[:, top:bottom, left:right] = found[0] > threshold
    return pasted


def _places(first: int, last: int, low: Tensor, high: Tensor) -> Tensor:
    """Centres of the pixels `first` to `last` on the scale where the box spans -1..1."""
    centres = torch.arange(first, last, device=low.device, dtype=low.dtype) + 0.5
    return (centres - low) / (high - low) * 2 - 1
