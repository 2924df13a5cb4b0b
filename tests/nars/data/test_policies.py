"""Policies change every image by itself, and repeat with the generator."""

from __future__ import annotations

from typing import Literal

import pytest
import torch
from torch import Tensor

from nars.data import load
from nars.data.policies import change, erase

Policy = Literal["trivial_augment", "rand_augment"]
POLICIES: tuple[Policy, ...] = ("trivial_augment", "rand_augment")


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def photos(count: int = 40) -> Tensor:
    return load("clothing").train.sample()[:count, :, :64, :64]


@pytest.mark.parametrize("policy", POLICIES)
def test_equal_seeds_give_equal_pixels(policy: Policy) -> None:
    images = photos()
    before = torch.get_rng_state()
    one, two, other = (change(images, policy, 9, generator(seed)) for seed in (3, 3, 4))
    assert torch.equal(one, two)
    assert not torch.equal(one, other)
    assert torch.equal(torch.get_rng_state(), before)
    torch.rand(5)  # nothing that others draw has a part in it
    assert torch.equal(change(images, policy, 9, generator(3)), one)


@pytest.mark.parametrize("policy", POLICIES)
def test_images_of_a_batch_are_changed_apart(policy: Policy) -> None:
    images = photos(1).expand(30, -1, -1, -1)
    changed = change(images, policy, 9, generator())
    assert (changed.shape, changed.dtype) == (images.shape, torch.uint8)
    assert len({image.numpy().tobytes() for image in changed}) > 20


def test_a_larger_magnitude_changes_more() -> None:
    images = photos()
    weak, strong = (change(images, "rand_augment", magnitude, generator()) for magnitude in (1, 25))
    weak_change, strong_change = ((x.float() - images.float()).abs().mean() for x in (weak, strong))
    assert strong_change > 2 * weak_change


@pytest.mark.parametrize("policy", POLICIES)
def test_grey_images_stay_grey(policy: Policy) -> None:
    grey = load("digits").train.sample()[:60]
    assert change(grey, policy, 9, generator()).shape == grey.shape


def test_no_policy_draws_nothing() -> None:
    images, drawing = photos(2), generator()
    state = drawing.get_state()
    assert change(images, "none", 9, drawing) is images
    assert erase(images, 0.0, drawing) is images
    assert torch.equal(drawing.get_state(), state)


def test_erases_a_box_of_the_right_size_in_the_right_share_of_images() -> None:
    images = torch.ones(2000, 3, 32, 32)
    erased = erase(images, 0.25, generator())
    share = 1 - erased.mean(dim=(1, 2, 3))
    hit = share > 0
    assert 420 < hit.sum() < 580  # 4 standard deviations of Binomial(2000, 1/4)
    assert share[hit].min() > 0.01
    assert share[hit].max() < 0.36
    assert share[hit].mean() == pytest.approx(0.175, abs=0.02)
    assert torch.equal(erased[:, 0], erased[:, 2])
    one = (erased[hit][0, 0] == 0).nonzero()
    sides = one.max(0).values - one.min(0).values + 1
    assert len(one) == sides.prod()  # a box, without gaps
    assert torch.equal(images, torch.ones_like(images))
    assert torch.equal(erase(images, 0.25, generator()), erased)
