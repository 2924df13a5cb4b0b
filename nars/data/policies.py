"""Changes colours and geometry of images at random, and erases parts of them."""

from __future__ import annotations

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
from nars.internals import strengths

__all__ = ["Policy", "change", "drawn_changes", "erase"]

Policy = Literal["none", "trivial_augment", "rand_augment"]

_ERASED_AREA = (0.02, 0.33)
"""Least and largest share of an image that is erased. Source: Random Erasing (AAAI 2020), section 4.2."""

_ERASED_ASPECT = 10 / 3
"""Largest aspect of an erased box, in width or height. torchvision's; the paper has 0.3 to 3.3."""


def change(images: Tensor, policy: Policy, magnitude: int, generator: torch.Generator) -> Tensor:
    """Change every image of uint8 [N, 1 or 3, R, R] by a `policy` of `nars.spec.Recipe`.

    `generator` is a CPU one. On a CPU it seeds the draws for the batch, and images are changed one by one:
    hardly two get the same change at the same strength. On small images that takes 0.2 to 0.5 ms each, 2 to
    5 % of a training step of EfficientNet-Lite0 (`experiments/recipe_speed.py`). On a GPU the draws are
    others, and images with the same kind of change are changed together.
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
    """Changes for `count` images of `side` pixels, drawn as the policies of torchvision draw them.

    There is a list of `count` for every change that an image gets, in order.
    """
    table = strengths(_transform(policy, magnitude), side)
    names = list(table)
    rounds = 1 if policy == "trivial_augment" else 2
    kinds = torch.randint(len(names), (rounds, count), generator=generator).tolist()
    places = torch.rand(rounds, count, generator=generator).tolist()
    signs = (torch.rand(rounds, count, generator=generator) < 0.5).tolist()

    def one(kind: int, place: float, is_negative: bool) -> Change:
        values, signed = table[names[kind]]
        if not values:
            return names[kind], 0.0
        value = values[int(place * len(values)) if policy == "trivial_augment" else magnitude]
        return names[kind], -value if signed and is_negative else value

    return [list(map(one, *row)) for row in zip(kinds, places, signs, strict=True)]


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
