"""A small network that learns brightness: its data, recipes and training."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import nn

from nars.data import ImageData
from nars.data.arrays import from_arrays
from nars.device import seeded
from nars.networks.build import build
from nars.spec import Architecture, Block, Recipe
from nars.training.loop import Outputs, Trained, train
from nars.training.metrics import ACCURACY

CPU = torch.device("cpu")
SIDE = 8

ARCHITECTURE = Architecture(
    name="tiny",
    resolution=SIDE,
    stages=(
        (Block(op="conv", channels=8, kernel=3, stride=2),),
        (Block(op="mbconv", channels=8, kernel=3, expansion=2, se="hsigmoid"),),
        (Block(op="mbconv", channels=16, kernel=5, expansion=2, stride=2, repeats=2),),
        (Block(op="mbpool", channels=16, expansion=2),),
    ),
)
EVERYTHING = Recipe(
    epochs=3,
    lr=0.05,
    ema=True,
    ema_decay=0.9,
    mixup=0.2,
    label_smoothing=0.1,
    dropout=0.2,
    stochastic_depth=0.2,
    augmentation="flip_shift",
)
OF_PHOTOS = EVERYTHING.replace(
    augmentation="flip",
    crop_area=0.5,
    policy="trivial_augment",
    erasing=0.3,
    cutmix=0.3,
    layer_decay=0.8,
    frozen=0.25,
    class_weights="balanced",
)
OTHERS_OF_PHOTOS = OF_PHOTOS.replace(policy="rand_augment", magnitude=5, balanced_sampling=True, ema=False)


def shades() -> ImageData:
    """Images of three classes that differ in brightness, with noise: 150 images to train, 50 for val."""
    rng = np.random.default_rng(0)
    labels = np.arange(250) % 3
    images = rng.normal(60 + 60 * labels[:, None, None], 25, (250, SIDE, SIDE)).clip(0, 255).astype(np.uint8)
    return from_arrays("shades", {"x_train": images, "y_train": labels})


def fresh(recipe: Recipe, classes: int = 3) -> nn.Module:
    with seeded(0, CPU):
        return build(ARCHITECTURE, classes, recipe)


def run(data: ImageData, recipe: Recipe, seed: int = 1, **options: Any) -> Trained:
    metric = options.pop("metric", ACCURACY)
    about: dict[str, Any] = {"resolution": SIDE, "device": CPU, "seed": seed, "metric": metric}
    return train(fresh(recipe), data, recipe, **about, outputs=Outputs(**options))


def same(one: nn.Module, two: nn.Module) -> bool:
    states = one.state_dict(), two.state_dict()
    return all(torch.equal(states[0][name], states[1][name]) for name in states[0] | states[1])
