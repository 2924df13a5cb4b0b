from __future__ import annotations

import pytest
import torch
from torchvision.ops import roi_align

from detector.model.batched.regions import aligned


@pytest.mark.parametrize("resolution", [1, 6, 14])
def test_pools_as_torchvision_does(resolution: int) -> None:
    """Regions are small, as large as the map, over its border, and without area."""
    generator = torch.Generator().manual_seed(0)
    feature = torch.rand(2, 3, 14, 19, generator=generator, dtype=torch.float64).requires_grad_()
    corners = torch.rand(2, 40, 2, generator=generator, dtype=torch.float64) * torch.tensor([19.0, 14.0])
    sides = torch.rand(2, 40, 2, generator=generator, dtype=torch.float64) * 20
    boxes = torch.cat([corners, (corners + sides)], dim=2)
    boxes[..., 2].clamp_(max=19)
    boxes[..., 3].clamp_(max=14)
    boxes[:, 0], boxes[:, 1] = torch.tensor([0.0, 0, 19, 14]), torch.tensor([3.0, 3, 3, 3])
    regions = torch.cat([torch.arange(2.0).repeat_interleave(40)[:, None], boxes.flatten(0, 1)], dim=1)
    expected = roi_align(feature, regions, resolution, 1.0, sampling_ratio=0, aligned=True)
    found = aligned(feature, boxes, resolution).permute(0, 3, 1, 2)
    torch.testing.assert_close(found, expected)
    weights = torch.rand(expected.shape, generator=generator, dtype=torch.float64)
    gradients = [torch.autograd.grad((pooled * weights).sum(), feature)[0] for pooled in (found, expected)]
    torch.testing.assert_close(*gradients)
    assert not found[1].any()
