"""A recorded step against the same step as it is; all on a GPU."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from typing import Any

import pytest
import torch
from no_waiting import no_waiting
from shades import SIDE, fresh
from torch import Tensor, nn

from nars.data import ImageData, augment, normalise, random_crops
from nars.data.policies import change, erase
from nars.device import resolve
from nars.spec import Recipe
from nars.training import step, updates
from nars.training.evaluation import moments
from nars.training.loop import train
from nars.training.step import Step
from nars.training.teacher import Teacher

RECIPES = {
    "sgd": Recipe(epochs=6, lr=0.05, batch_size=16),
    "adamw": Recipe(epochs=6, lr=0.003, optimizer="adamw", batch_size=16, ema=True, clip_norm=1.0),
    "rmsprop": Recipe(epochs=6, lr=0.003, optimizer="rmsprop", batch_size=16, mixup=0.2, ema=True),
}


class _AsItIs:
    """Stands in for `Replayed` and runs its function."""

    def __init__(self, function: Callable[..., Tensor], *_: Any) -> None:
        self.function = function

    def __call__(self, *inputs: Tensor) -> Tensor:
        return self.function(*inputs)


@pytest.mark.gpu
@pytest.mark.parametrize("name", RECIPES)
def test_recorded_and_not_agree(name: str, data: ImageData, monkeypatch: pytest.MonkeyPatch) -> None:
    recipe, device = RECIPES[name], resolve("cuda")
    recorded = train(fresh(recipe), data, recipe, resolution=SIDE, device=device, seed=1)
    monkeypatch.setattr(step, "Replayed", _AsItIs)
    plain = train(fresh(recipe), data, recipe, resolution=SIDE, device=device, seed=1)
    losses = [[epoch.loss for epoch in each.curve] for each in (recorded, plain)]
    assert losses[0] == pytest.approx(losses[1], rel=0.1)  # bfloat16 has three digits, and 50 steps add up
    assert abs(recorded.val.accuracy - plain.val.accuracy) <= 0.06


@pytest.mark.gpu
@pytest.mark.parametrize("name", RECIPES)
def test_single_steps_agree(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    recipe, device = RECIPES[name], resolve("cuda")
    results = []
    for stand_in in (step.Replayed, _AsItIs):
        monkeypatch.setattr(step, "Replayed", stand_in)
        model = fresh(recipe).to(device)
        learn, _ = _step(model, recipe, device)
        generator = torch.Generator().manual_seed(3)
        for number in range(8):
            images, labels = torch.randn(8, 3, SIDE, SIDE, generator=generator), torch.arange(8) % 3
            learn(images.to(device), labels.to(device), number / 8)
        average = learn.ema.module if learn.ema is not None else model
        results.append(torch.cat([each.flatten().float() for each in average.parameters()]))
    assert (results[0] - results[1]).abs().max() <= 0.02 * results[1].abs().max()


@pytest.mark.gpu
@pytest.mark.filterwarnings("ignore:Synchronization debug mode")
def test_nothing_is_read_back(data: ImageData) -> None:
    recipe = RECIPES["rmsprop"].replace(
        mixup=0, crop_area=0.5, policy="trivial_augment", erasing=0.3, augmentation="flip_shift", distill=0.5
    )
    device = resolve("cuda")
    learn, model = _step(
        fresh(recipe).to(device), recipe, device, teacher=Teacher(fresh(recipe).to(device), SIDE)
    )
    generator = torch.Generator().manual_seed(0)
    mean, std = moments(model, data, device)
    groups = [torch.arange(16)] * 8
    crops = [random_crops(16, 0.5, generator) for _ in groups]
    with ExitStack() as watched:
        for number, (images, labels) in enumerate(data.train.batches(SIDE, device, groups, crops)):
            if number == 6:  # recorded by now
                watched.enter_context(no_waiting())
            images = augment(images, recipe.augmentation, generator)
            images = change(images, recipe.policy, recipe.magnitude, generator)
            images = erase(normalise(images, mean, std), recipe.erasing, generator)
            learn(images, labels, number / 8)


@pytest.mark.gpu
def test_without_memory_for_a_recording_training_goes_on(
    data: ImageData, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def full(*_: object, **__: object) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr(torch.cuda, "graph", full)
    recipe = RECIPES["sgd"]
    trained = train(fresh(recipe), data, recipe, resolution=SIDE, device=resolve("cuda"), seed=1)
    assert len(trained.curve) == recipe.epochs
    assert caplog.text.count("too little GPU memory") == 1


@pytest.mark.gpu
def test_other_shapes_get_recordings_of_their_own() -> None:
    recipe, device = RECIPES["sgd"], resolve("cuda")
    learn, _ = _step(fresh(recipe).to(device), recipe, device)
    for number in range(12):
        count = 8 + number % 2
        loss = learn(
            torch.randn(count, 3, SIDE, SIDE, device=device), torch.zeros(count, device=device).long(), 0.5
        )
        assert loss.isfinite()


def _step(
    model: nn.Module, recipe: Recipe, device: torch.device, teacher: Teacher | None = None
) -> tuple[Step, nn.Module]:
    model = model.to(memory_format=torch.channels_last).train()
    optimizer, ema = updates.optimizer(model, recipe), updates.averaged(model, recipe)
    scaler = torch.amp.GradScaler("cuda", enabled=False)
    return Step(model, recipe, optimizer, scaler, device=device, ema=ema, teacher=teacher), model
