"""What a recipe turns into."""

from __future__ import annotations

import math

import pytest
import torch
from torch import nn

from nars.data import load
from nars.device import seeded
from nars.spec import Recipe
from nars.training.optim import (
    averaged,
    drawn,
    importances,
    learning_rate,
    mixer,
    optimizer,
    set_learning_rate,
)

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


def test_mixup_mixes_images_as_it_mixes_labels() -> None:
    labels = torch.arange(4)
    images = labels.float().view(4, 1, 1, 1).expand(4, 3, 2, 2)
    mix = mixer(Recipe(mixup=1.0), 4)
    with seeded(0, CPU):
        mixed, shares = mix(images, labels)
    assert shares.sum(1).tolist() == pytest.approx([1.0] * 4)
    expected = (shares * torch.arange(4.0)).sum(1)
    torch.testing.assert_close(mixed.mean((1, 2, 3)), expected)
    assert 0 < shares[0, 0] < 1
    with seeded(0, CPU):
        again, _ = mix(images, labels)
    assert torch.equal(mixed, again)


def test_no_mixup_changes_nothing() -> None:
    images, labels = torch.rand(2, 3, 4, 4), torch.tensor([0, 1])
    assert mixer(Recipe(), 2)(images, labels) == (images, labels)


def test_cutmix_pastes_a_box_as_it_mixes_labels() -> None:
    labels = torch.arange(4)
    images = labels.float().view(4, 1, 1, 1).expand(4, 3, 16, 16).clone()
    mix = mixer(Recipe(cutmix=1.0), 4)
    with seeded(1, CPU):
        mixed, shares = mix(images, labels)
    assert shares.sum(1).tolist() == pytest.approx([1.0] * 4)
    assert set(mixed.unique().tolist()) == {0.0, 1.0, 2.0, 3.0}  # pixels of one image or the other
    torch.testing.assert_close(mixed.mean((1, 2, 3)), (shares * torch.arange(4.0)).sum(1))
    assert 0 < shares[0, 0] < 1


def test_with_mixup_and_cutmix_each_batch_takes_one_of_the_two() -> None:
    labels = torch.arange(4)
    images = labels.float().view(4, 1, 1, 1).expand(4, 3, 16, 16).clone()
    mix = mixer(Recipe(mixup=1.0, cutmix=1.0), 4)
    with seeded(0, CPU):
        pasted = [(mix(images, labels)[0] % 1 == 0).all().item() for _ in range(60)]
    assert 15 < sum(pasted) < 45  # 4 standard deviations of Binomial(60, 1/2)


def test_classes_that_are_drawn_equally_often_need_no_weights() -> None:
    data = load("digits")
    assert importances(Recipe(), data, CPU) is None
    assert importances(Recipe(class_weights="balanced", balanced_sampling=True), data, CPU) is None
    weights = importances(Recipe(class_weights="balanced"), data, CPU)
    assert weights is not None
    assert weights[data.train.labels].mean().item() == pytest.approx(1.0)


def test_an_epoch_draws_every_image_once_or_every_class_equally_often() -> None:
    labels = torch.tensor([0] * 90 + [1] * 10)
    plain = torch.cat(drawn(Recipe(batch_size=8), labels, torch.Generator().manual_seed(0)))
    assert plain.sort().values.tolist() == list(range(100))
    recipe = Recipe(batch_size=8, balanced_sampling=True)
    equal = torch.cat(drawn(recipe, labels, torch.Generator().manual_seed(0)))
    assert 25 < labels[equal].sum() < 75  # 5 standard deviations of Binomial(100, 1/2)
