"""The images of a step: their order, how they are mixed, and how much each class counts."""

from __future__ import annotations

import pytest
import torch

from nars.data import load
from nars.device import seeded
from nars.spec import Recipe
from nars.training.batches import drawn, importances, mixer

CPU = torch.device("cpu")


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
