"""The optimizer of a recipe."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from nars.spec import Recipe
from nars.training.updates import optimizer, set_learning_rate

CPU = torch.device("cpu")


def network() -> nn.Module:
    return nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.AdaptiveAvgPool2d(1), nn.Flatten())


@pytest.mark.parametrize(
    ("name", "cls"),
    [("sgd", torch.optim.SGD), ("rmsprop", torch.optim.RMSprop), ("adamw", torch.optim.AdamW)],
)
def test_optimizer_decays_matrices_only(name: str, cls: type[torch.optim.Optimizer]) -> None:
    model = network()
    made = optimizer(model, Recipe.of({"optimizer": name, "lr": 0.02, "weight_decay": 0.5, "momentum": 0.8}))
    assert type(made) is cls
    decay = {id(p): group["weight_decay"] for group in made.param_groups for p in group["params"]}
    by_name = {each: decay[id(p)] for each, p in model.named_parameters()}
    assert by_name == {"0.weight": 0.5, "0.bias": 0.0, "1.weight": 0.0, "1.bias": 0.0}
    for group in made.param_groups:
        assert group["lr"] == 0.02
        assert (group["betas"][0] if name == "adamw" else group["momentum"]) == 0.8


def test_a_checkpoint_of_an_older_version_has_no_shares_of_the_rate() -> None:
    model, recipe = network(), Recipe(lr=0.4, epochs=10, warmup_epochs=0)
    made = optimizer(model, recipe)
    state = made.state_dict()
    for group in state["param_groups"]:
        del group["share"]
    made.load_state_dict(state)
    set_learning_rate(made, recipe, 0.5)
    assert [group["lr"] for group in made.param_groups] == pytest.approx([0.2, 0.2])


@pytest.mark.parametrize("name", ["sgd", "rmsprop", "adamw"])
def test_optimizer_steps_without_momentum(name: str) -> None:
    model = network()
    made = optimizer(model, Recipe.of({"optimizer": name, "lr": 0.01, "momentum": 0.0}))
    before = model[0].weight.detach().clone()
    model(torch.ones(2, 3, 4, 4)).square().sum().backward()
    made.step()
    assert not torch.equal(before, model[0].weight)
