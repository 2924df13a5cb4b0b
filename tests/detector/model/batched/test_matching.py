from __future__ import annotations

import pytest
import torch
from torch import Tensor
from torchvision.models.detection._utils import BalancedPositiveNegativeSampler, Matcher
from torchvision.ops import box_iou

from detector.model.batched.matching import match, repeated, sample
from detector.model.batched.slots import Slots, slots_for, slots_of


def scene(seed: int, counts: tuple[int, ...] = (3, 0, 9)) -> tuple[Slots, list[Tensor], Tensor]:
    generator = torch.Generator().manual_seed(seed)

    def boxes(count: int) -> Tensor:
        corners = 60 * torch.rand(count, 2, generator=generator)
        return torch.cat([corners, corners + 5 + 35 * torch.rand(count, 2, generator=generator)], dim=1)

    objects = [boxes(count) for count in counts]
    targets = [{"boxes": each, "labels": torch.arange(1, len(each) + 1)} for each in objects]
    return slots_of(targets, (100, 100), masks=False), objects, boxes(600)


def test_slots_are_padded_to_a_multiple() -> None:
    slots, objects, _ = scene(0)
    assert slots.boxes.shape == (3, 16, 4)
    assert slots.filled.sum(1).tolist() == [3, 0, 9]
    assert torch.equal(slots.boxes[2, :9], objects[2])
    assert slots.boxes[0, 3:].abs().sum() == slots.labels[0, 3:].sum() == 0
    assert [slots_for(count) for count in (0, 1, 8, 9)] == [8, 8, 8, 16]


@pytest.mark.parametrize("keep_best", [False, True])
@pytest.mark.parametrize("seed", range(5))
def test_matches_are_those_of_torchvision(seed: int, keep_best: bool) -> None:
    slots, objects, regions = scene(seed)
    found = match(slots, regions, 0.5, 0.3, keep_best)
    matcher = Matcher(0.5, 0.3, allow_low_quality_matches=keep_best)
    for image, boxes in enumerate(objects):
        if not len(boxes):
            assert found.background[image].all()
            assert not found.objects[image].any()
            continue
        expected = matcher(box_iou(boxes, regions))
        assert torch.equal(found.objects[image], expected >= 0)
        assert torch.equal(found.background[image], expected == Matcher.BELOW_LOW_THRESHOLD)
        owned = expected >= 0
        assert torch.equal(found.owners[image][owned], expected[owned])
        assert 0 < owned.sum() < len(regions)


@pytest.mark.parametrize(("objects", "background"), [(40, 100), (3, 100), (40, 5), (0, 100), (0, 0)])
def test_as_many_are_drawn_as_by_torchvision(objects: int, background: int) -> None:
    labels = torch.full((150,), -1)
    labels[:objects], labels[50 : 50 + background] = 1, 0
    drawn = sample((labels == 1)[None], (labels == 0)[None], 32, 0.25)
    (positive,), (negative,) = BalancedPositiveNegativeSampler(32, 0.25)([labels])
    kinds = labels[drawn.regions[0][drawn.drawn[0]]]
    assert (kinds == 1).sum() == positive.sum()
    assert (kinds == 0).sum() == negative.sum()
    assert (kinds.diff() <= 0).all(), "objects come first"
    assert len(drawn.regions[0].unique()) == 32


def test_every_region_is_drawn_equally_often() -> None:
    labels = torch.tensor([1] * 6 + [-1] * 3 + [0] * 11)
    objects, background = (labels == 1).expand(4000, -1), (labels == 0).expand(4000, -1)
    torch.manual_seed(0)
    drawn = sample(objects, background, 8, 0.5)
    assert drawn.drawn.all()
    times = torch.bincount(drawn.regions.flatten(), minlength=20) / 4000
    # 4 of 6 objects and 4 of 11 background regions; the standard error is below 0.008.
    torch.testing.assert_close(times[:6], torch.full((6,), 4 / 6), atol=0.03, rtol=0)
    assert times[6:9].sum() == 0
    torch.testing.assert_close(times[9:], torch.full((11,), 4 / 11), atol=0.03, rtol=0)


def test_places_are_filled_by_repeats() -> None:
    index, first = repeated(torch.tensor([[True, False, True], [False, True, False]]))
    assert index.tolist() == [0, 2, 4, 0, 2, 4]
    assert first.tolist() == [True] * 3 + [False] * 3
    index, first = repeated(torch.zeros(2, 2, dtype=torch.bool))
    assert not first.any()
    assert index.tolist() == [0] * 4
