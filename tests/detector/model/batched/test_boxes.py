from __future__ import annotations

import torch
from torch import Tensor
from torchvision.models.detection._utils import BoxCoder
from torchvision.ops import box_iou, clip_boxes_to_image

from detector.model.batched.boxes import clipped, decoded, encoded, overlaps


def random_boxes(*shape: int, seed: int = 0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    corners = torch.rand(*shape, 2, generator=generator) * 60
    return torch.cat([corners, corners + 1 + torch.rand(*shape, 2, generator=generator) * 40], dim=-1)


def test_overlaps_are_those_of_torchvision() -> None:
    one, other = random_boxes(3, 5), random_boxes(3, 7, seed=1)
    expected = torch.stack([box_iou(*pair) for pair in zip(one, other, strict=True)])
    assert torch.equal(overlaps(one, other), expected)
    assert torch.equal(overlaps(one, other[0]), torch.stack([box_iou(each, other[0]) for each in one]))
    assert expected.max() > 0.3


def test_deltas_are_those_of_torchvision() -> None:
    weights = (10.0, 10.0, 5.0, 5.0)
    boxes, bases = random_boxes(2, 6), random_boxes(2, 6, seed=1)
    expected = BoxCoder(weights).encode_single(boxes.flatten(0, 1), bases.flatten(0, 1))
    torch.testing.assert_close(encoded(boxes, bases, weights).flatten(0, 1), expected)
    deltas = encoded(boxes, bases, (1, 1, 1, 1))
    torch.testing.assert_close(decoded(deltas, bases), boxes)
    huge = torch.tensor([0.0, 0, 50, 50])
    plain = BoxCoder((1.0, 1.0, 1.0, 1.0)).decode_single(huge[None], boxes[0, :1])
    torch.testing.assert_close(decoded(huge, boxes[0, 0]), plain[0])


def test_boxes_are_clipped_to_their_own_image() -> None:
    boxes, sizes = random_boxes(2, 9) - 20, torch.tensor([[30.0, 50.0], [50.0, 30.0]])
    expected = [clip_boxes_to_image(boxes[0], (30, 50)), clip_boxes_to_image(boxes[1], (50, 30))]
    assert torch.equal(clipped(boxes, sizes), torch.stack(expected))
