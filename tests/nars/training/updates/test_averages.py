"""The average of a network follows it."""

from __future__ import annotations

import math

import pytest
import torch
from torch import nn

from nars.spec import Recipe
from nars.training.updates import averaged

CPU = torch.device("cpu")


def test_average_follows_parameters_and_buffers() -> None:
    model = nn.BatchNorm1d(1)
    ema = averaged(model, Recipe(ema=True, ema_decay=0.5))
    assert ema is not None
    expected = math.nan
    for update, value in enumerate([1.0, 2.0, 4.0, 8.0]):
        with torch.no_grad():
            model.weight.fill_(value)
            model.running_mean.fill_(value)
        model.num_batches_tracked += 1
        ema.update_parameters(model)
        decay = min(0.5, (1 + update) / (10 + update))
        expected = value if update == 0 else decay * expected + (1 - decay) * value
    assert ema.module.weight.item() == pytest.approx(expected)
    assert ema.module.running_mean.item() == pytest.approx(expected)
    assert ema.module.num_batches_tracked.item() == 4


def test_average_reaches_the_recipes_decay() -> None:
    model = nn.Linear(1, 1)
    ema = averaged(model, Recipe(ema=True, ema_decay=0.9))
    assert ema is not None
    ema.n_averaged.fill_(1000)
    with torch.no_grad():
        ema.module.weight.fill_(0.0)
        model.weight.fill_(1.0)
    ema.update_parameters(model)
    assert ema.module.weight.item() == pytest.approx(0.1)
    assert averaged(model, Recipe()) is None
