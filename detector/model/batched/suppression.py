"""Non-maximum suppression of many images: on a GPU by nothing but tensor operations of fixed shape.

A box survives if no better survivor overlaps it. Starting from "all survive" and applying this rule
to all boxes at once again and again, the answer for the best box is right at once, and that of any
other as soon as those of its better neighbours are. The fixpoint is the result of greedy suppression.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torchvision.ops import nms

from detector.model.batched.boxes import overlaps

__all__ = ["ROUNDS", "survivors"]

ROUNDS = 21
"""Applications of the rule on a GPU. An odd number: boxes still undecided then are dropped."""


def survivors(boxes: Tensor, valid: Tensor, threshold: float, rounds: int | None = None) -> Tensor:
    """Return which boxes [N, P, 4] of every image survive, bool [N, P]; boxes are by falling score.

    Boxes that are not `valid` [N, P] neither survive nor beat others. Without `rounds`, torchvision's greedy
    loop gives the same, image by image: on a CPU, which waits for nothing, it takes a tenth of the time.
    """
    if rounds is None:
        return torch.stack([_greedy(*image, threshold) for image in zip(boxes, valid, strict=True)])
    beats = (overlaps(boxes, boxes) > threshold) & valid[:, :, None]
    beats = beats.triu_(1).to(torch.float16 if boxes.is_cuda else torch.float32)  # [N, better, worse]
    alive = valid
    with torch.autocast(boxes.device.type, enabled=False):  # it would copy the matrix in every round
        for _ in range(rounds):
            beaten = torch.bmm(alive[:, None].to(beats.dtype), beats)[:, 0] > 0
            alive = valid & ~beaten
    return alive


def _greedy(boxes: Tensor, valid: Tensor, threshold: float) -> Tensor:
    """Return which boxes [P, 4] of one image survive, bool [P]; those without area overlap none."""
    falling = -torch.arange(len(boxes), dtype=boxes.dtype, device=boxes.device)
    kept = nms(torch.where(valid[:, None], boxes, 0.0), falling, threshold)
    return torch.zeros_like(valid).index_fill_(0, kept, value=True) & valid
