"""Classes of unequal size count, or are drawn, equally."""

from __future__ import annotations

import pytest
import torch

from nars.data import balanced, class_weights

LABELS = torch.tensor([0] * 80 + [1] * 15 + [3] * 5)


def test_every_class_is_drawn_equally_often() -> None:
    generator = torch.Generator().manual_seed(0)
    drawn = torch.cat([number for _ in range(100) for number in balanced(LABELS, 32, generator)])
    counts = torch.bincount(LABELS[drawn], minlength=4)
    assert counts.sum() == 10_000
    assert counts[2] == 0
    assert all(3100 < count < 3560 for count in counts[[0, 1, 3]])  # 5 standard deviations around 3333
    assert len(drawn.unique()) == 100


def test_batches_are_even_and_repeat_with_the_generator() -> None:
    one, two = (balanced(LABELS, 64, torch.Generator().manual_seed(1)) for _ in range(2))
    assert [len(group) for group in one] == [50, 50]
    assert all(torch.equal(a, b) for a, b in zip(one, two, strict=True))


def test_weights_are_inverse_to_the_images_and_one_on_average() -> None:
    weights = class_weights(LABELS, 4)
    assert weights.tolist() == pytest.approx([100 / 3 / 80, 100 / 3 / 15, 1.0, 100 / 3 / 5])
    assert weights[LABELS].mean().item() == pytest.approx(1.0)
    assert torch.equal(class_weights(torch.tensor([0, 1, 2]), 3), torch.ones(3))
