from __future__ import annotations

import pytest
import torch

from detector.model.anchors import fit_anchors
from detector.model.settings import Settings
from nars.errors import DataError


def test_anchors_are_fitted_to_boxes() -> None:
    generator = torch.Generator().manual_seed(0)
    sizes = torch.tensor([10.0, 20, 40, 80, 160]).repeat_interleave(200)
    ratios = torch.tensor([0.5, 1.0, 2.0])[torch.randint(3, (1000,), generator=generator)]
    width, height = sizes / ratios.sqrt(), sizes * ratios.sqrt()
    jitter = 1 + 0.02 * torch.randn(1000, 2, generator=generator)
    corner = 100 * torch.rand(1000, 2, generator=generator)
    boxes = torch.cat([corner, corner + torch.stack([width, height], dim=1) * jitter], dim=1)
    found_sizes, found_ratios = fit_anchors(boxes)
    assert found_sizes[0] == pytest.approx([10, 20, 40, 80, 160], rel=0.01)
    assert found_ratios == pytest.approx([0.5, 1, 2], rel=0.02)
    assert [len(each) for each in fit_anchors(boxes, maps=5, sizes=1)[0]] == [1] * 5
    Settings(anchor_sizes=found_sizes, anchor_ratios=found_ratios)
    with pytest.raises(DataError, match="5 anchor sizes need boxes of 5 different sizes, got 1"):
        fit_anchors(boxes[:1])
