"""The learning rate over a training."""

from __future__ import annotations

import pytest
import torch

from nars.spec import Recipe
from nars.training.updates import learning_rate

CPU = torch.device("cpu")


def test_learning_rate_warms_up_and_falls_as_a_cosine() -> None:
    recipe = Recipe(lr=0.4, epochs=10, warmup_epochs=2)
    rates = [learning_rate(recipe, progress) for progress in (0, 0.1, 0.2, 0.6, 1)]
    assert rates == pytest.approx([0, 0.2, 0.4, 0.2, 0])
    falling = [learning_rate(recipe, 0.2 + step / 100) for step in range(81)]
    assert falling == sorted(falling, reverse=True)


@pytest.mark.parametrize(("epochs", "warmup", "peak"), [(1, 1, 0.5), (3, 9, 0.5), (5, 0, 0)])
def test_warm_up_ends_by_the_middle(epochs: int, warmup: float, peak: float) -> None:
    recipe = Recipe(lr=1.0, epochs=epochs, warmup_epochs=warmup)
    assert learning_rate(recipe, peak) == pytest.approx(1.0)
    assert learning_rate(recipe, 1.0) == pytest.approx(0.0)
