"""A detector with all heads that is built and run in milliseconds, and a batch for it."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from detector.model.detector import Detector
from detector.model.parts import Parts
from detector.model.settings import Settings
from nars.spec import Block

SMALL = Parts(
    name="small",
    trunk=[
        [Block(op="conv", channels=8, kernel=3, stride=2)],
        [Block(op="mbconv", channels=8, kernel=3, expansion=2, stride=2)],
        [Block(op="mbconv", channels=16, kernel=3, expansion=2, stride=2, repeats=2, se="hsigmoid")],
    ],
    rpn=[Block(op="mbconv", channels=16, kernel=3, expansion=2)],
    box=[Block(op="mbconv", channels=24, kernel=3, expansion=2, stride=2)],
    mask=[
        Block(op="mbconv", channels=16, kernel=3, expansion=2, stride=2),
        Block(op="mbconv", channels=16, kernel=3, expansion=2, stride=-2),
        Block(op="mbconv", channels=8, kernel=3, expansion=2, stride=-2),
    ],
)
QUICK = Settings(
    shortest=(64,),
    longest=96,
    norm="bn",
    anchor_sizes=((8, 16, 32),),
    train_candidates=50,
    train_proposals=20,
    box_samples=16,
    rpn_samples=32,
)


def quick(**changes: Any) -> Detector:
    torch.manual_seed(0)
    return Detector(SMALL, 3, QUICK.replace(**changes))


def picture(height: int, width: int, seed: int = 0) -> Tensor:
    return torch.rand(3, height, width, generator=torch.Generator().manual_seed(seed))


def target(*boxes: list[float], size: tuple[int, int] = (64, 80)) -> dict[str, Tensor]:
    """Boxes of the classes 1, 2, ..., each filled by its mask."""
    masks = torch.zeros(len(boxes), *size, dtype=torch.uint8)
    for mask, (left, top, right, bottom) in zip(masks, boxes, strict=True):
        mask[int(top) : int(bottom), int(left) : int(right)] = 1
    return {
        "boxes": torch.tensor(boxes, dtype=torch.float32).reshape(-1, 4),
        "labels": torch.arange(1, len(boxes) + 1),
        "masks": masks,
    }


BATCH = [picture(64, 80), picture(64, 96, seed=1)]
TARGETS = [target([4, 4, 40, 40], [20, 8, 60, 30]), target(size=(64, 96))]
