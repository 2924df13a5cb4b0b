"""Pictures become data: in memory or from disk, in squares, without those that cannot be read."""

from __future__ import annotations

import logging
from pathlib import Path

import numpy as np
import pytest
import torch
from folders import colour
from PIL import Image

from nars.data import DiskSplit, Fit, MemorySplit, decoding, load, square
from nars.errors import DataError
from nars.files import saying_once

CPU = torch.device("cpu")


def test_a_fit_changes_pictures_and_nothing_else(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data = load(folder)
    assert data.fitted("crop") is data
    boxed = data.fitted("letterbox")
    assert boxed.train is data.fitted("letterbox").train is boxed.fitted("letterbox").train
    assert boxed.fitted("crop").train is data.train
    assert (boxed.train.sample()[:, :, 0] == 114).all()  # 12 x 8 pixels
    assert not (data.train.sample() == 114).any()
    assert torch.equal(boxed.mean, data.mean)
    assert torch.equal(boxed.train.labels, data.train.labels)
    assert boxed.fingerprint == data.fingerprint
    digits = load("digits")
    assert digits.fitted("squash") is digits
    monkeypatch.setattr(decoding, "MEMORY_LIMIT", 0)
    large = load(folder).fitted("letterbox")
    ((pixels, _),) = large.train.batches(12, CPU, [torch.arange(12)])
    assert torch.equal(pixels, boxed.train.sample())


def test_what_was_left_out_shifts_no_finer_image(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(decoding, "KEPT_SIDE", 4)
    (folder / "cat" / "00bad.png").write_text("sorts before all others")
    split = load(folder, drop_bad=True).train
    assert isinstance(split, MemorySplit)
    ((fine, labels),) = split.batches(8, CPU, [torch.arange(len(split))])
    assert torch.equal(fine[:, :, 0, 0], split.pixels[:, :, 0, 0])
    assert torch.equal(labels, split.labels)


def test_corrupt_picture_is_named_or_left_out(folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    good = folder / "dog" / "deep" / "3.png"
    (folder / "dog" / "cut.png").write_bytes(good.read_bytes()[:-30])
    (folder / "dog" / "text.jpg").write_text("not a picture")
    with pytest.raises(DataError, match=r"^cannot read image \S*(cut.png|text.jpg): [^\n]*$"):
        load(folder)
    with caplog.at_level(logging.WARNING):
        data = load(folder, drop_bad=True)
    assert sum(len(data.split(name)) for name in ("train", "val", "test")) == 20
    assert len(data.dropped) == 2
    assert f"left out 2 images: {data.dropped[0]}; {data.dropped[1]}" in caplog.text


def test_large_folder_is_read_batch_by_batch(
    folder: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    held = load(folder)
    monkeypatch.setattr(decoding, "MEMORY_LIMIT", 100)
    data = load(folder)
    assert isinstance(held.train, MemorySplit)
    assert isinstance(data.train, DiskSplit)
    assert data.fingerprint == held.fingerprint
    torch.testing.assert_close(data.mean, held.mean, atol=1 / 255, rtol=0)
    groups = [torch.tensor([3, 0, 9]), torch.tensor([1]), torch.tensor([2, 4]), torch.tensor([5, 6])]
    for (here, labels), (there, others) in zip(
        data.train.batches(8, CPU, groups), held.train.batches(8, CPU, groups), strict=True
    ):
        assert torch.equal(labels, others)
        assert torch.equal(here, there)

    broken = [path for path in folder.rglob("*.png") if path.parent.name == "deep"]
    for path in broken:
        path.write_bytes(path.read_bytes()[:40])
    with pytest.raises(DataError, match="cannot read image"):
        list(data.train.batches(8, CPU, groups))
    lenient = load(folder, drop_bad=True)
    with caplog.at_level(logging.WARNING):
        labels = torch.cat([y for _, y in lenient.train.batches(8, CPU, torch.arange(12).split(5))])
    assert labels.tolist() == [0] * 6
    assert caplog.text.count("left out") == 6
    caplog.clear()
    with caplog.at_level(logging.WARNING), saying_once():  # as the workers of a search do
        for train in (
            load(folder, drop_bad=True).train,
            load(folder, drop_bad=True).train,
            load(folder, drop_bad=True).train,
        ):
            list(train.batches(8, CPU, torch.arange(12).split(5)))
    assert caplog.text.count("left out") == 6
    with pytest.raises(DataError, match="none of the 12 images can be read"):
        list(lenient.train.batches(8, CPU, [torch.arange(6, 12)]))


def test_pictures_larger_than_those_held_are_read_again(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(decoding, "KEPT_SIDE", 4)
    split = load(folder).train
    assert isinstance(split, MemorySplit)
    assert split.pixels.shape[-1] == 4
    assert split.finer is not None
    ((images_, _),) = split.batches(8, CPU, [torch.arange(3)])
    assert images_.shape == (3, 3, 8, 8)


@pytest.mark.parametrize("size", [(1, 1), (10_000, 3)])
def test_odd_sizes_load(folder: Path, size: tuple[int, int]) -> None:
    colour(folder / "cat" / "odd.png", 9, size)
    assert sum(len(load(folder).split(name)) for name in ("train", "val", "test")) == 21


def test_median_side_and_channels(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert load("digits").size == (8, 1)
    for number in range(30):
        colour(folder / "cat" / f"large{number}.png", number, (300, 50))
    assert load(folder).size == (50, 3)
    monkeypatch.setattr(decoding, "MEMORY_LIMIT", 0)
    assert load(folder).size == (50, 3)
    monkeypatch.setattr(decoding, "KEPT_SIDE", 24)
    assert load(folder).size == (24, 3)


def test_grey_pictures_are_grey_wherever_they_are_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A network for grey images was refused as soon as there were too many for the memory."""
    rng = np.random.default_rng(0)
    for number in range(20):
        path = tmp_path / "ab"[number % 2] / f"{number}.png"
        path.parent.mkdir(exist_ok=True)
        Image.fromarray(rng.integers(0, 256, (12, 8), dtype=np.uint8)).save(path)
    assert load(tmp_path).size == (8, 1)
    monkeypatch.setattr(decoding, "MEMORY_LIMIT", 0)
    data = load(tmp_path)
    assert isinstance(data.train, DiskSplit)
    assert data.size == data.fitted("letterbox").size == (8, 1)


@pytest.mark.parametrize("fit", ["squash", "letterbox"])
def test_a_wide_picture_that_is_shown_whole_keeps_its_detail(tmp_path: Path, fit: Fit) -> None:
    stripes = np.zeros((40, 400, 3), np.uint8)
    stripes[:, np.arange(400) // 5 % 2 == 1] = 255
    for number in range(10):
        path = tmp_path / "ab"[number % 2] / f"{number}.png"
        path.parent.mkdir(exist_ok=True)
        Image.fromarray(stripes).save(path)
    split = load(tmp_path).fitted(fit).train
    ((seen, _),) = split.batches(224, CPU, [torch.arange(1)])
    at_once = square(Image.fromarray(stripes), 224, fit)
    assert seen[0, 0, 112].float().std() > 0.9 * at_once[0, 112].float().std()
    assert load(tmp_path).size.side == 40
