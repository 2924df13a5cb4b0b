"""Non-maximum suppression within groups, in a form that exporters can trace."""

from __future__ import annotations

import torch
from torch import Tensor
from torchvision.ops import nms

__all__ = ["suppress"]


def suppress(boxes: Tensor, scores: Tensor, groups: Tensor, threshold: float, extent: float) -> Tensor:
    """Return indices of the boxes that no better box of their group overlaps by more than `threshold`.

    Indices are by falling score; equal scores keep their order. `boxes` [N, 4] are within
    0..`extent`, and each group is moved to where no other group reaches. torchvision's
    `batched_nms` chooses its method by the number of boxes, which no exporter can trace.
    """
    boxes = boxes.to(torch.promote_types(boxes.dtype, torch.float32))
    moved = boxes + (groups * (extent + 1)).to(boxes.dtype)[:, None]
    kept: Tensor = nms(moved, scores.to(boxes.dtype), threshold)
    return kept
