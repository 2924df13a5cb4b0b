"""Changes colours and geometry of images at random, and erases parts of them."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import Literal

import torch
from torch import Tensor, nn
from torchvision.transforms import InterpolationMode, v2

from nars.data.batched_policies import Change, changed
from nars.data.crops import random_boxes
from nars.device import seeded
from nars.internals import without_changing

__all__ = ["Policy", "change", "drawn_changes", "erase"]

Policy = Literal["none", "trivial_augment", "rand_augment"]

_ERASED_AREA = (0.02, 0.33)
"""Least and largest share of an image that is erased. Source: Random Erasing (AAAI 2020), section 4.2."""

_ERASED_ASPECT = 10 / 3
"""Largest aspect of an erased box, in width or height. torchvision's; the paper has 0.3 to 3.3."""


def change(images: Tensor, policy: Policy, magnitude: int, generator: torch.Generator) -> Tensor:
    """Change every image of uint8 [N, 1 or 3, R, R] by a `policy` of `nars.spec.Recipe`.

    One number is drawn from `generator`, a CPU one, and seeds the draws for the batch. On a CPU images are
    changed one by one: hardly two of a batch get the same change at the same strength. On small images that
    takes 0.2 to 0.5 ms each, 2 to 5 % of a training step of EfficientNet-Lite0
    (`experiments/recipe_speed.py`). On a GPU those with the same change are changed together.
    """
    if policy == "none":
        return images
    if images.is_cuda:
        for changes in drawn_changes(len(images), images.shape[-1], policy, magnitude, generator):
            images = changed(images, changes)
        return images
    transform = _transform(policy, magnitude)
    with _drawing(generator):
        return torch.stack([transform(image) for image in images])


def drawn_changes(
    count: int, side: int, policy: Policy, magnitude: int, generator: torch.Generator
) -> list[list[Change]]:
    """The changes that `change` draws for `count` images of `side` pixels, without applying them.

    There is a list of `count` for every change that an image gets, in order.
    """
    made: list[Change] = []
    transform = _transform(policy, magnitude)
    drawing = copy.copy(transform)
    without_changing(drawing, lambda name, strength: made.append((name, strength)))
    blank = torch.zeros(3, side, side, dtype=torch.uint8)
    with _drawing(generator):
        for _ in range(count):
            drawing(blank)
    rounds = len(made) // count
    return [made[number::rounds] for number in range(rounds)]


@contextmanager
def _drawing(generator: torch.Generator) -> Iterator[None]:
    """Seed PyTorch's global generator, which torchvision draws from, with a number from `generator`."""
    seed = int(torch.randint(2**62, (), generator=generator))
    with seeded(seed, torch.device("cpu")):
        yield


@cache
def _transform(policy: str, magnitude: int) -> nn.Module:
    transform: nn.Module
    if policy == "trivial_augment":
        transform = v2.TrivialAugmentWide(interpolation=InterpolationMode.BILINEAR)
    else:
        transform = v2.RandAugment(magnitude=magnitude, interpolation=InterpolationMode.BILINEAR)
    return transform


def erase(images: Tensor, probability: float, generator: torch.Generator) -> Tensor:
    """Set a random box to zero in each of normalized images [N, C, R, R], with a probability.

    Zero is the mean colour. `generator` is a CPU one.
    """
    if not probability:
        return images
    count, _, height, width = images.shape
    chosen = torch.rand(count, generator=generator) < probability
    boxes = random_boxes(count, _ERASED_AREA, _ERASED_ASPECT, generator)
    left, top, right, bottom = (boxes * torch.tensor([width, height, width, height])).round().T[:, :, None]
    columns, rows = torch.arange(width), torch.arange(height)
    across = (left <= columns) & (columns < right)
    down = (top <= rows) & (rows < bottom) & chosen[:, None]
    erased = down[:, None, :, None] & across[:, None, None, :]
    return images.masked_fill(erased.to(images.device, non_blocking=True), 0)
