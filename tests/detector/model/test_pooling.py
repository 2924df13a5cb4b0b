from __future__ import annotations

import pytest
import torch

from detector.model.roi_heads.pooling import Pooler


def test_the_pooler_knows_its_strides() -> None:
    """A linear ramp is reproduced at the centres of the bins, for any size of the image."""
    pooler = Pooler(["c4"], [16], 2)
    ramp = torch.arange(20.0).expand(1, 1, 14, 20)
    box = torch.tensor([[64.0, 64, 192, 128]])
    for shape in [(224, 320), (219, 315)]:
        pooled = pooler({"c4": ramp}, [box], [shape])
        # bins are centred at x = 96 and 160 pixels; the centre of cell i is (i + 0.5) * 16
        assert pooled[0, 0, 0].tolist() == pytest.approx([96 / 16 - 0.5, 160 / 16 - 0.5])


def test_regions_are_pooled_from_the_map_of_their_size() -> None:
    pooler = Pooler(["p3", "p4", "p5", "p6"], [8, 16, 32, 64], 1)
    maps = {f"p{level}": torch.full((1, 1, 80, 80), float(level)) for level in range(3, 7)}
    sides = torch.tensor([8.0, 111, 113, 223, 225, 449, 640])
    boxes = torch.stack([torch.zeros(7), torch.zeros(7), sides, sides], dim=1)
    assert pooler(maps, [boxes]).flatten().tolist() == [3, 3, 3, 3, 4, 5, 5]


@pytest.mark.parametrize("memory_format", [torch.contiguous_format, torch.channels_last])
def test_regions_have_the_memory_format_of_their_map(memory_format: torch.memory_format) -> None:
    feature = torch.rand(1, 3, 8, 8).contiguous(memory_format=memory_format)
    boxes = torch.tensor([[0.0, 0, 64, 64], [16, 16, 96, 128]])
    assert Pooler(["c4"], [16], 4)({"c4": feature}, [boxes]).is_contiguous(memory_format=memory_format)
