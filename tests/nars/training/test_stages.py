"""Frozen stages stay as they are; the rates of the others fall towards the input."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from nars.data import ImageData
from nars.data.arrays import from_arrays
from nars.device import seeded
from nars.errors import UsageError
from nars.networks.build import build
from nars.spec import Architecture, Block, Recipe
from nars.training.loop import Trained, train
from nars.training.stages import freezing
from nars.training.updates import optimizer, set_learning_rate

CPU = torch.device("cpu")
ARCHITECTURE = Architecture(
    resolution=8,
    stages=[
        [Block(op="conv", channels=8, kernel=3, stride=2)],
        [Block(op="mbconv", channels=8, kernel=3, expansion=2)],
        [Block(op="mbconv", channels=8, kernel=3, expansion=2, stride=2)],
        [Block(op="mbpool", channels=16, expansion=2)],
    ],
)


def network() -> nn.Module:
    with seeded(0, CPU):
        return build(ARCHITECTURE, 3)


def data() -> ImageData:
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (90, 8, 8)).astype(np.uint8)
    return from_arrays("noise", {"x_train": images, "y_train": np.arange(90) % 3})


def run(model: nn.Module, **fields: Any) -> Trained:
    recipe = Recipe(epochs=2, batch_size=16, **fields)
    return train(model, data(), recipe, resolution=8, device=CPU, seed=0)


@pytest.mark.parametrize("ema", [False, True])
def test_frozen_stages_keep_weights_and_statistics(ema: bool) -> None:
    trained = run(network(), frozen=0.5, ema=ema)
    before, after = network().state_dict(), trained.model.state_dict()
    changed = {name for name in before if not torch.equal(before[name], after[name])}
    assert not any(name.startswith(("stages.0.", "stages.1.")) for name in changed)
    learnt = {name for name, _ in trained.model.named_parameters()} & changed
    assert any(name.startswith("stages.2.") for name in learnt)
    assert any(name.startswith("head.") for name in learnt)
    assert all(parameter.requires_grad for parameter in trained.model.parameters())


def test_frozen_stages_need_no_gradient() -> None:
    model = network()
    with freezing(model, Recipe(frozen=0.75)) as frozen:
        assert len(frozen) == 3
        features = model.stages[:3](torch.rand(2, 3, 8, 8))
        assert features.grad_fn is None  # so that there is nothing to go back through
        assert len(optimizer(model, Recipe(frozen=0.75)).param_groups) == 2
    assert all(parameter.requires_grad for parameter in model.parameters())


def test_all_stages_frozen_leaves_the_classifier() -> None:
    trained = run(network(), frozen=1.0)
    before, after = network().state_dict(), trained.model.state_dict()
    changed = {name for name in before if not torch.equal(before[name], after[name])}
    assert changed == {"head.classifier.weight", "head.classifier.bias"}


@pytest.mark.parametrize(("share", "stages", "expected"), [(0, 9, 0), (0.2, 9, 1), (0.3, 10, 3), (1, 4, 4)])
def test_shares_are_rounded_down_to_whole_stages(share: float, stages: int, expected: int) -> None:
    assert Recipe(frozen=share).frozen_stages(stages) == expected


def test_rates_fall_by_a_factor_per_stage() -> None:
    model = network()
    recipe = Recipe(lr=0.4, epochs=10, warmup_epochs=0, layer_decay=0.5)
    made = optimizer(model, recipe)
    set_learning_rate(made, recipe, 0.5)
    rates = {id(parameter): group["lr"] for group in made.param_groups for parameter in group["params"]}
    by_stage = {name.rsplit(".", 1)[0][:8]: rates[id(p)] for name, p in model.named_parameters()}
    assert by_stage["head.cla"] == pytest.approx(0.2)
    for stage in range(4):
        assert by_stage[f"stages.{stage}"] == pytest.approx(0.2 * 0.5 ** (4 - stage))
    decayed = [p for group in made.param_groups if group["weight_decay"] for p in group["params"]]
    assert {id(p) for p in decayed} == {id(p) for p in model.parameters() if p.ndim > 1}


@pytest.mark.parametrize("fields", [{"frozen": 0.5}, {"layer_decay": 0.5}])
def test_a_network_without_stages_is_refused_in_one_line(fields: dict[str, float]) -> None:
    model = nn.Sequential(nn.Flatten(), nn.Linear(192, 3))
    with pytest.raises(UsageError, match="need a network with stages, Sequential has none"):
        run(model, **fields)
