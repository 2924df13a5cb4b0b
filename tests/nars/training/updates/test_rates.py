"""The learning rate over a training."""

from __future__ import annotations

import pytest
import torch

from nars.spec import Recipe
from nars.training.updates import learning_rate, optimizer, scheduled
from nars.training.updates.rates import Rates

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


@pytest.mark.parametrize(
    ("epochs", "warmup", "steps", "first"),
    [
        (1, 1, 1, 0.4),  # the only step of the training
        (3, 1, 1, 0.4),
        (1, 1, 2, 0.4),  # half of the epoch is one step
        (3, 1, 2, 0.0),  # the second one is at half the rate
        (1, 1, 4, 0.0),
        (3, 0, 1, 0.4),
    ],
)
def test_a_warm_up_of_one_step_is_none(epochs: int, warmup: float, steps: int, first: float) -> None:
    recipe = scheduled(Recipe(lr=0.4, epochs=epochs, warmup_epochs=warmup), steps)
    assert learning_rate(recipe, 0) == pytest.approx(first)
    assert recipe.replace(warmup_epochs=warmup) == Recipe(lr=0.4, epochs=epochs, warmup_epochs=warmup)


def test_an_optimizer_of_a_gpu_goes_on_on_a_cpu() -> None:
    """PyTorch refused the step of one that is marked to be captured."""
    model = torch.nn.Linear(2, 2)
    recipe = Recipe(optimizer="rmsprop")
    saved = optimizer(model, recipe).state_dict()
    saved["param_groups"][0]["capturable"] = True  # as it is saved on a GPU
    restored = optimizer(model, recipe)
    restored.load_state_dict(saved)
    Rates(restored, recipe, torch.device("cpu")).set(0.5)
    model(torch.ones(1, 2)).sum().backward()
    restored.step()
