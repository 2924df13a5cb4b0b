from __future__ import annotations

import pytest
import torch
from torch import Tensor
from torchvision.ops import nms

from detector.model.batched.suppression import ROUNDS, survivors


def crowd(images: int, count: int, spread: float, seed: int) -> Tensor:
    """Boxes [images, count, 4] around so few centres that most overlap; the smaller `spread`, the more."""
    generator = torch.Generator().manual_seed(seed)
    centres = torch.rand(images, count, 2, generator=generator) * spread
    sides = 20 + 20 * torch.rand(images, count, 2, generator=generator)
    return torch.cat([centres - sides / 2, centres + sides / 2], dim=2)


@pytest.mark.parametrize("threshold", [0.3, 0.7])
@pytest.mark.parametrize("spread", [10.0, 60.0, 300.0])
@pytest.mark.parametrize("rounds", [None, ROUNDS])
def test_survivors_are_those_of_torchvision(threshold: float, spread: float, rounds: int | None) -> None:
    boxes = crowd(4, 300, spread, seed=0)
    falling = torch.arange(300, 0, -1.0)
    alive = survivors(boxes, torch.ones(4, 300, dtype=torch.bool), threshold, rounds)
    for image in range(4):
        assert alive[image].nonzero()[:, 0].tolist() == nms(boxes[image], falling, threshold).tolist()


def test_invalid_boxes_beat_none() -> None:
    boxes = crowd(1, 2, 0.0, seed=0).expand(1, 2, 4)
    assert survivors(boxes, torch.tensor([[True, True]]), 0.5).tolist() == [[True, False]]
    assert survivors(boxes, torch.tensor([[False, True]]), 0.5).tolist() == [[False, True]]


def test_both_ways_give_the_same() -> None:
    boxes = crowd(3, 200, 40.0, seed=1)
    valid = torch.rand(3, 200, generator=torch.Generator().manual_seed(2)) < 0.7
    assert torch.equal(survivors(boxes, valid, 0.5), survivors(boxes, valid, 0.5, rounds=201))
    assert survivors(boxes, torch.zeros_like(valid), 0.5).sum() == 0


def test_too_few_rounds_drop_boxes_but_keep_no_rival() -> None:
    """A chain in which every box overlaps the next needs as many rounds as it has boxes."""
    left = 5.0 * torch.arange(60)
    boxes = torch.stack([left, torch.zeros(60), left + 20, torch.full((60,), 20.0)], dim=1)[None]
    everyone = torch.ones(1, 60, dtype=torch.bool)
    exact = survivors(boxes, everyone, 0.55)
    few = survivors(boxes, everyone, 0.55, rounds=9)
    assert exact[0].nonzero()[:, 0].tolist() == list(range(0, 60, 2))
    assert (few <= exact).all()
    assert few[0, :9].tolist() == exact[0, :9].tolist()
