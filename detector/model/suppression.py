"""Non-maximum suppression within groups, in one form for running and for exporting."""

from __future__ import annotations

import torch
from torch import Tensor
from torchvision.ops import nms

__all__ = ["suppress"]


def suppress(boxes: Tensor, scores: Tensor, groups: Tensor, threshold: float, extent: float) -> Tensor:
    """Indices of the boxes that none of the same group with a higher score overlaps too much.

    By falling score, equal ones in the order given. `boxes` [N, 4] lie within 0..`extent`; each
    group is moved to a place of its own. torchvision's `batched_nms` instead chooses its way by the
    number of boxes, which no exporter can follow.
    """
    boxes = boxes.to(torch.promote_types(boxes.dtype, torch.float32))
    moved = boxes + (groups * (extent + 1)).to(boxes.dtype)[:, None]
    kept: Tensor = nms(moved, scores.to(boxes.dtype), threshold)
    return kept
