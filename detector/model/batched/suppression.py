"""Non-maximum suppression of many images at once, by nothing but tensor operations of fixed shape.

A box survives if no better survivor overlaps it. Starting from "all survive" and applying this rule
to all boxes at once again and again, the answer for the best box is right at once, and that of any
other as soon as those of its better neighbours are. The fixpoint is the result of greedy suppression.
"""

from __future__ import annotations

import torch
from torch import Tensor

from detector.model.batched.boxes import overlaps

__all__ = ["ROUNDS", "survivors"]

ROUNDS = 21
"""Applications of the rule on a GPU. An odd number: boxes still undecided then are dropped."""


def survivors(boxes: Tensor, valid: Tensor, threshold: float, rounds: int | None = None) -> Tensor:
    """Return which boxes [N, P, 4] of every image survive, bool [N, P]; boxes are by falling score.

    Boxes that are not `valid` [N, P] neither survive nor beat others. Without `rounds` the rule is
    applied until nothing changes, which reads a value after every round.
    """
    beats = (overlaps(boxes, boxes) > threshold) & valid[:, :, None]
    beats = beats.triu_(1).to(torch.float16 if boxes.is_cuda else torch.float32)  # [N, better, worse]
    alive = valid
    with torch.autocast(boxes.device.type, enabled=False):  # it would copy the matrix in every round
        for _ in range(boxes.shape[1] if rounds is None else rounds):
            beaten = torch.bmm(alive[:, None].to(beats.dtype), beats)[:, 0] > 0
            before, alive = alive, valid & ~beaten
            if rounds is None and torch.equal(before, alive):
                break
    return alive
