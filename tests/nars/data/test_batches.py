"""From splits to the batches that a network sees."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from PIL import Image

from nars.data import DiskSplit, Picture, augment, load, normalise, shuffled
from nars.data.augment import resize
from nars.data.splits import memory
from nars.errors import DataError

CPU = torch.device("cpu")


def test_batches_are_resized_once_and_held(monkeypatch: pytest.MonkeyPatch) -> None:
    data = load("digits")
    calls = []
    monkeypatch.setattr(memory, "resize", lambda *args: calls.append(args) or resize(*args))
    groups = torch.arange(len(data.val)).split(100)
    first = torch.cat([x for x, _ in data.val.batches(20, CPU, groups)])
    again = torch.cat([x for x, _ in data.val.batches(20, CPU, groups)])
    assert first.shape == (359, 1, 20, 20)
    assert first.dtype == torch.uint8
    assert torch.equal(first, again)
    assert len(calls) == 1
    monkeypatch.setattr(memory, "MEMORY_LIMIT", 1000)
    fresh = load("digits")
    streamed = torch.cat([x for x, _ in fresh.val.batches(20, CPU, groups)])
    assert torch.equal(first, streamed)


def test_moments_make_training_images_standard() -> None:
    data = load("digits")
    ((pixels, _),) = data.train.batches(8, CPU, [torch.arange(len(data.train))])
    standard = normalise(pixels, data.mean, data.std)
    assert standard.shape == (1079, 3, 8, 8)
    assert standard.is_contiguous(memory_format=torch.channels_last)
    assert standard.mean().abs() < 1e-4  # of 69056 values in float32
    assert (standard.std() - 1).abs() < 1e-4


def test_colours_are_grey_for_one_channel() -> None:
    pixels = torch.randint(256, (4, 3, 8, 8), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    mean, std = torch.tensor([0.4]), torch.tensor([0.2])
    images = normalise(pixels, mean, std)
    assert images.shape == (4, 1, 8, 8)
    pillow = [Image.fromarray(image.permute(1, 2, 0).numpy()).convert("L") for image in pixels]
    levels = torch.from_numpy(np.stack([np.asarray(image) for image in pillow]))[:, None]
    assert (images * 0.2 + 0.4 - levels / 255).abs().max() < 1.01 / 255  # Pillow rounds its weights
    same = pixels[:, :1].expand(-1, 3, -1, -1)
    assert torch.equal(normalise(same, mean, std), normalise(pixels[:, :1], mean, std))


def test_shuffled_groups_are_even_and_complete() -> None:
    generator = torch.Generator().manual_seed(0)
    groups = shuffled(65, 64, generator)
    assert [len(group) for group in groups] == [33, 32]
    assert torch.cat(list(groups)).sort().values.tolist() == list(range(65))
    assert len(shuffled(10, 64, generator)) == 1


def test_shift_moves_each_image_by_its_own_offset_of_up_to_an_eighth() -> None:
    generator = torch.Generator().manual_seed(0)
    image = torch.zeros(500, 1, 16, 16, dtype=torch.uint8)
    image[:, 0, 8, 8] = 255
    moved = augment(image, "shift", generator)
    places = moved.flatten(1).argmax(1)
    rows, columns = places // 16, places % 16
    assert set(rows.tolist()) == set(columns.tolist()) == {6, 7, 8, 9, 10}  # 16 / 8 = 2 either way
    assert len(set(places.tolist())) == 25
    assert torch.equal(moved.flatten(1).sum(1), torch.full((500,), 255))


def test_flip_turns_about_half_of_the_images() -> None:
    generator = torch.Generator().manual_seed(0)
    image = torch.zeros(400, 3, 4, 4, dtype=torch.uint8)  # too small to shift
    image[..., 0] = 9
    turned = (augment(image, "flip_shift", generator)[:, 0, 0, -1] == 9).sum().item()
    assert 150 < turned < 250  # 5 standard deviations of Binomial(400, 1/2)
    whole = torch.zeros(400, 1, 16, 16, dtype=torch.uint8)
    whole[..., 0] = 9
    only = augment(whole, "flip", generator)[:, 0]
    assert 150 < (only[:, 0, -1] == 9).sum() < 250
    assert ((only == 9).sum((1, 2)) == 16).all()  # nothing is shifted out
    assert augment(image, "none", generator) is image


def test_augmentation_repeats_with_the_generator() -> None:
    image = load("digits").val.sample()
    one, two = (augment(image, "flip_shift", torch.Generator().manual_seed(3)) for _ in range(2))
    assert torch.equal(one, two)


def test_picture_errors_travel_through_threads() -> None:
    def bad(_: int) -> Image.Image:
        raise DataError("cannot read image this one: gone")

    split = DiskSplit([Picture("this one", 0, bad)], side=8)
    with pytest.raises(DataError, match=r"^cannot read image this one: gone; .* with --drop-bad$"):
        list(split.batches(8, CPU, [torch.tensor([0])]))
