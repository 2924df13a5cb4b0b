"""The training loop, what it measures, and the files it leaves."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from shades import ARCHITECTURE, CPU, EVERYTHING, OF_PHOTOS, OTHERS_OF_PHOTOS, SIDE, fresh, run, same
from torch import nn

from nars.data import ImageData, load
from nars.data.arrays import from_arrays
from nars.device import resolve, seeded
from nars.errors import DataError, NonFiniteLossError, RunError, TrialError, TrialMemoryError
from nars.networks.build import build
from nars.networks.weights import load_weights, save_weights
from nars.spec import Architecture, Block, Candidate, Recipe
from nars.training.evaluation import evaluate
from nars.training.loop import Outputs, Progress, train
from nars.training.metrics import Metric

# The loop


@pytest.mark.parametrize("optimizer", ["sgd", "rmsprop", "adamw"])
def test_learns(data: ImageData, optimizer: str) -> None:
    recipe = Recipe.of({"epochs": 4, "optimizer": optimizer, "lr": 0.05 if optimizer == "sgd" else 0.005})
    trained = run(data, recipe)
    # The class means lie 60 grey levels apart, the mean of 64 pixels has a deviation of 3.
    assert trained.val.accuracy > 0.9
    assert trained.curve[-1].loss < trained.curve[0].loss
    assert not trained.model.training


def test_a_network_of_one_channel_learns_from_grey_images(data: ImageData, tmp_path: Path) -> None:
    recipe = Recipe(epochs=4, lr=0.02, optimizer="adamw", ema=True, ema_decay=0.9)
    candidate = Candidate(architecture=ARCHITECTURE.replace(in_channels=1), recipe=recipe)
    model = build(candidate.architecture, 3, recipe)
    trained = train(model, data, recipe, resolution=SIDE, device=CPU, seed=1)
    assert trained.val.accuracy > 0.8
    file = tmp_path / "grey.safetensors"
    save_weights(file, trained.model, candidate, {}, classes=data.classes, mean=data.mean, std=data.std)
    again = evaluate(load_weights(file).network(), data, "val", resolution=SIDE, device=CPU)
    assert again.accuracy == trained.val.accuracy
    colours = np.zeros((40, SIDE, SIDE, 3), np.uint8)
    other = from_arrays("colours", {"x_train": colours, "y_train": np.arange(40) % 3})
    with pytest.raises(DataError, match="takes grey images, those of colours to train on are held in colour"):
        train(model, other, recipe, resolution=SIDE, device=CPU, seed=1)
    assert evaluate(model, other, "val", resolution=SIDE, device=CPU).images == 9  # in grey, as predictions


@pytest.mark.parametrize("recipe", [EVERYTHING, OF_PHOTOS, OTHERS_OF_PHOTOS])
def test_same_seed_same_bits(data: ImageData, recipe: Recipe) -> None:
    one, two, other = (run(data, recipe, seed) for seed in (1, 1, 2))
    assert same(one.model, two.model)
    assert [p.loss for p in one.curve] == [p.loss for p in two.curve]
    assert not same(one.model, other.model)


def test_leaves_the_global_generator_alone(data: ImageData) -> None:
    before = torch.get_rng_state()
    run(data, EVERYTHING.replace(epochs=1))
    run(data, OF_PHOTOS.replace(epochs=1))
    assert torch.equal(before, torch.get_rng_state())


def test_reports_every_epoch_and_stops_when_told(data: ImageData) -> None:
    seen: list[Progress] = []

    def on_epoch(progress: Progress) -> bool:
        seen.append(progress)
        return progress.epoch < 2

    trained = run(data, EVERYTHING, on_epoch=on_epoch)
    assert [(p.epoch, p.epochs) for p in seen] == [(1, 3), (2, 3)]
    assert trained.curve == tuple(seen)
    assert seen[-1].fraction == pytest.approx(2 / 3)
    assert trained.val.accuracy == seen[-1].score
    # Stopping early is the start of the longer training, not a shorter schedule.
    full = run(data, EVERYTHING)
    assert [p.loss for p in full.curve[:2]] == [p.loss for p in seen]


def test_measures_the_average_where_there_is_one(data: ImageData) -> None:
    model = fresh(EVERYTHING)
    trained = train(model, data, EVERYTHING, resolution=SIDE, device=CPU, seed=1)
    assert trained.model is not model
    assert not same(trained.model, model)
    plain = EVERYTHING.replace(ema=False)
    assert train(model, data, plain, resolution=SIDE, device=CPU, seed=1).model is model


@pytest.mark.parametrize("change", [{"class_weights": "balanced"}, {"balanced_sampling": True}])
def test_a_rare_class_is_learnt_if_classes_count_equally(change: dict[str, Any]) -> None:
    """Two classes that overlap, one of them rare: without weights, hardly anything is said to be of it."""
    rng = np.random.default_rng(0)
    labels = (np.arange(600) % 20 == 0).astype(np.int64)
    images = rng.normal(110 + 20 * labels[:, None, None], 60, (600, SIDE, SIDE))
    images = images.mean((1, 2), keepdims=True) + rng.normal(0, 25, (600, 1, 1))
    pixels = np.broadcast_to(images, (600, SIDE, SIDE)).clip(0, 255).astype(np.uint8)
    rare = from_arrays("rare", {"x_train": pixels, "y_train": labels})
    recipe = Recipe(epochs=4, lr=0.02, augmentation="none")
    recipes = recipe, recipe.replace(**change)
    plain, equal = (
        train(fresh(each, 2), rare, each, resolution=SIDE, device=CPU, seed=1) for each in recipes
    )
    assert plain.val.recall[1] == 0
    assert equal.val.recall[1] is not None
    assert equal.val.recall[1] > 0.5


def test_a_training_of_one_step_learns(data: ImageData) -> None:
    recipe = Recipe(epochs=1, batch_size=len(data.train))
    untrained, trained = fresh(recipe), run(data, recipe)
    assert trained.curve[0].lr == recipe.lr
    pairs = zip(untrained.parameters(), trained.model.parameters(), strict=True)
    assert any(not torch.equal(*pair) for pair in pairs)


def test_a_batch_larger_than_the_data_is_the_data(data: ImageData) -> None:
    assert run(data, Recipe(epochs=1, batch_size=4096, warmup_epochs=0)).curve[0].loss > 0


@pytest.mark.parametrize(("batch_size", "images"), [(1, 4), (2, 5)])
def test_a_batch_of_one_pixel_ends_the_trial(batch_size: int, images: int) -> None:
    """The statistics of a batch norm need two values; the last of three batches has one image."""
    small = Architecture(resolution=2, stages=[[Block(op="conv", channels=8, kernel=3, stride=2)]])
    pixels = np.random.default_rng(0).integers(0, 256, (images, 2, 2), dtype=np.uint8)
    given = {f"x_{split}": pixels for split in ("train", "val", "test")}
    given |= {f"y_{split}": np.arange(images) % 2 for split in ("train", "val", "test")}
    recipe = Recipe(epochs=1, batch_size=batch_size)
    with pytest.raises(TrialError, match="a batch of one image is too small for this network: Expected more"):
        train(build(small, 2), from_arrays("few", given), recipe, resolution=2, device=CPU, seed=0)


class Poison(nn.Module):
    """Gives what is no number from a chosen forward pass of training on."""

    def __init__(self, at: int, value: float) -> None:
        super().__init__()
        self.model = fresh(Recipe())
        self.at, self.value, self.seen = at, value, 0

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        logits: torch.Tensor = self.model(x)
        self.seen += self.training
        return logits * self.value if self.seen == self.at else logits


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_a_loss_that_is_no_number_ends_the_trial(data: ImageData, value: float) -> None:
    recipe = Recipe(epochs=4, batch_size=50, warmup_epochs=0)
    with pytest.raises(NonFiniteLossError, match=r"loss is nan in epoch 2 of 4, step 2 of 3, at .* 0\.0\d+$"):
        train(Poison(5, value), data, recipe, resolution=SIDE, device=CPU, seed=1)


def test_exploding_weights_end_the_trial(data: ImageData) -> None:
    with pytest.raises(NonFiniteLossError):
        run(data, Recipe(epochs=3, lr=1e3, clip_norm=0, warmup_epochs=0))


class Greedy(nn.Module):
    """Wants a terabyte."""

    def __init__(self, error: Callable[[], object]) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(3, 3))
        self.error = error

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        self.error()
        return x.mean((2, 3)) @ self.weight


def _raise(error: Exception) -> None:
    raise error


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (lambda: torch.empty(2**60, dtype=torch.uint8), "memory"),
        (lambda: _raise(MemoryError()), "memory"),
        (lambda: _raise(torch.OutOfMemoryError("CUDA out of memory")), "GPU memory"),
    ],
)
def test_running_out_of_memory_ends_the_trial(
    data: ImageData, error: Callable[[], object], kind: str
) -> None:
    with pytest.raises(TrialMemoryError, match=rf"^out of {kind} while training at 8 px in batches of 64$"):
        train(Greedy(error), data, Recipe(), resolution=SIDE, device=CPU, seed=1)


def test_the_curve_has_the_metric_that_is_asked_for(data: ImageData, tmp_path: Path) -> None:
    metric, path = Metric("mine:f", lambda labels, probabilities: -len(labels)), tmp_path / "checkpoint"
    trained = run(data, Recipe(epochs=2), metric=metric, checkpoint=path)
    assert [progress.score for progress in trained.curve] == [-len(data.val)] * 2
    assert trained.score == trained.val.score == -len(data.val)
    with pytest.raises(RunError, match="another training: metric was 'mine:f', is None"):
        run(data, Recipe(epochs=2), checkpoint=path)


def test_a_recipe_says_how_pictures_become_squares(tmp_path: Path) -> None:
    for number in range(20):  # two classes that differ only outside the centre square
        path = tmp_path / "set" / ("a", "b")[number % 2] / f"{number}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        image = Image.new("RGB", (32, 8), ("black", "white")[number % 2])
        image.paste((100 + number, 0, 0), (12, 0, 20, 8))
        image.save(path)
    data, recipe = load(tmp_path / "set"), Recipe(epochs=8, lr=0.1, batch_size=4)
    model = run(data, recipe.replace(fit="squash")).model
    scores = {
        fit: evaluate(model, data.fitted(fit), "train", resolution=SIDE, device=CPU).accuracy
        for fit in ("crop", "squash")
    }
    assert scores == {"crop": pytest.approx(0.5, abs=0.2), "squash": 1.0}


# With a GPU


@pytest.mark.gpu
@pytest.mark.parametrize("recipe", [EVERYTHING.replace(epochs=5), Recipe(epochs=5, lr=0.05)])
def test_learns_on_a_gpu(data: ImageData, recipe: Recipe) -> None:
    device = resolve("cuda")
    trained = train(fresh(recipe), data, recipe, resolution=SIDE, device=device, seed=1)
    assert trained.val.accuracy > 0.8
    on_cpu = evaluate(trained.model.cpu(), data, "val", resolution=SIDE, device=CPU)
    # Half precision may turn single answers of the 50.
    assert abs(on_cpu.accuracy - trained.val.accuracy) <= 0.04


@pytest.mark.gpu
def test_resumes_on_a_gpu(data: ImageData, tmp_path: Path) -> None:
    device, path = resolve("cuda"), tmp_path / "checkpoint"
    recipe = EVERYTHING
    options: dict[str, Any] = {"resolution": SIDE, "device": device, "seed": 1}
    stopping = Outputs(checkpoint=path, on_epoch=lambda p: p.epoch < 2)
    first = train(fresh(recipe), data, recipe, outputs=stopping, **options)
    resumed = train(fresh(recipe), data, recipe, outputs=Outputs(checkpoint=path), **options)
    assert resumed.curve[:2] == first.curve
    assert len(resumed.curve) == 3


@pytest.mark.slow
def test_digits_are_learnt() -> None:
    digits = load("digits")
    recipe = Recipe(epochs=12, ema=True)
    architecture = ARCHITECTURE.replace(resolution=16)
    with seeded(0, CPU):
        model = build(architecture, 10, recipe)
    trained = train(model, digits, recipe, resolution=16, device=CPU, seed=0)
    assert trained.val.accuracy > 0.9  # a linear model has 0.95 on these pixels at full length
