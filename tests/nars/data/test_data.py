"""Sources, splits and batches, and what bad input says."""

from __future__ import annotations

import logging
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.error import URLError

import numpy as np
import pytest
import torch
from PIL import Image

from nars.data import (
    DiskSplit,
    MemorySplit,
    decoding,
    load,
    sources,
)
from nars.data.readers import torchvision_sets
from nars.data.splitting import SHARE, cut
from nars.errors import DataError
from nars.files import saying_once

CPU = torch.device("cpu")

EARLIER = "f0cc8dd6b6edbb7977514dfe237ef0ce5ffc308b814f6fa88bb0963f5a756f91"
"""Fingerprint of twelve small pictures by version 0.1."""


def colour(path: Path, value: int, size: tuple[int, int] = (12, 8)) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", size, (value, 10, 20)).save(path)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two classes of ten pictures, each of one red level of its own."""
    for index in range(10):
        colour(tmp_path / "set" / "cat" / f"{index}.png", index)
        colour(tmp_path / "set" / "dog" / "deep" / f"{index}.png", 100 + index)
    return tmp_path / "set"


def arrays(**changes: Any) -> dict[str, Any]:
    x = np.arange(20 * 6 * 6 * 3, dtype=np.uint32).astype(np.uint8).reshape(20, 6, 6, 3)
    y = np.arange(20) % 2
    content: dict[str, Any] = {"classes": np.array(["a", "b"])}
    for split in ("train", "val", "test"):
        content |= {f"x_{split}": x, f"y_{split}": y}
    content |= changes
    return {key: value for key, value in content.items() if value is not None}


@pytest.fixture
def npz(tmp_path: Path) -> Callable[..., Path]:
    def write(**changes: Any) -> Path:
        np.savez(tmp_path / "data.npz", **arrays(**changes))
        return tmp_path / "data.npz"

    return write


# Splits


def test_digits_are_split_once_and_for_all() -> None:
    data = load("digits")
    assert [len(data.split(name)) for name in ("train", "val", "test")] == [1079, 359, 359]
    assert data.classes == tuple("0123456789")
    # A change of either number changes what every published result was measured on.
    assert data.val.labels[:12].tolist() == [3, 4, 5, 8, 9, 4, 5, 6, 8, 1, 1, 0]
    assert data.fingerprint == load("digits").fingerprint
    for split in (data.train, data.val, data.test):
        share = torch.bincount(split.labels).double() / len(split)
        assert (share - 0.1).abs().max() < 0.005  # 174 to 183 of 1797 images are of each class


@pytest.mark.parametrize(
    ("sizes", "kept"), [((10, 10), (6, 6)), ((5, 1), (3, 1)), ((2, 3), (1, 1))], ids=["even", "single", "few"]
)
def test_cut_keeps_an_image_of_every_class(sizes: tuple[int, int], kept: tuple[int, int]) -> None:
    labels = np.repeat([0, 1], sizes)
    pieces = cut(labels, 2)
    assert sorted(np.concatenate(pieces)) == list(range(sum(sizes)))
    assert tuple(np.bincount(labels[pieces[0]], minlength=2)) == kept
    assert SHARE == 0.2


# Folders


def test_folder_is_cut_into_splits(folder: Path) -> None:
    data = load(folder)
    assert data.classes == ("cat", "dog")
    assert [len(data.split(name)) for name in ("train", "val", "test")] == [12, 4, 4]
    reds = [image[0, 0, 0].item() for name in ("train", "val", "test") for image in data.split(name).sample()]
    assert sorted(reds) == [*range(10), *range(100, 110)]  # nothing lost, nothing twice
    assert load(str(folder)).fingerprint == data.fingerprint


def test_folder_with_given_splits(folder: Path) -> None:
    root = folder.parent / "split"
    shutil.copytree(folder, root / "train")
    colour(root / "test" / "dog" / "x.png", 200)
    (root / ".hidden").mkdir()
    data = load(root)
    assert [len(data.split(name)) for name in ("train", "val", "test")] == [16, 4, 1]
    assert data.test.labels.tolist() == [1]


def test_a_class_may_be_called_train(folder: Path) -> None:
    (folder / "cat").rename(folder / "train")
    assert load(folder).classes == ("dog", "train")


def test_fingerprint_changes_with_the_pictures(folder: Path) -> None:
    before = load(folder).fingerprint
    colour(folder / "dog" / "new.png", 3)
    grown = load(folder).fingerprint
    (folder / "cat").rename(folder / "kat")
    assert len({before, grown, load(folder).fingerprint}) == 3


def test_fingerprint_sees_the_content_and_not_the_place(folder: Path, tmp_path: Path) -> None:
    before = load(folder)
    shutil.copytree(folder, tmp_path / "elsewhere")
    (folder / "cat" / "bad.png").write_text("bad")
    (tmp_path / "elsewhere" / "cat" / "bad.png").write_text("bad")
    here, there = (load(path, drop_bad=True) for path in (folder, tmp_path / "elsewhere"))
    assert here.fingerprint == there.fingerprint != before.fingerprint
    (folder / "cat" / "bad.png").unlink()
    file = folder / "cat" / "0.png"
    old = file.read_bytes()
    colour(file, 1)
    assert len(file.read_bytes()) == len(old)
    after = load(folder)
    assert after.fingerprint != before.fingerprint
    assert after.earlier_fingerprints == before.earlier_fingerprints  # names and sizes


def test_earlier_fingerprints_are_those_of_version_0_1(tmp_path: Path) -> None:
    """The expected digest was computed by version 0.1 for the same files."""
    for number in range(12):
        path = tmp_path / "set" / ("a", "b")[number % 2] / f"{number}.ppm"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"P6 2 2 255\n" + bytes([number] * 12))
    assert load(tmp_path / "set").earlier_fingerprints == (EARLIER,)


def test_a_class_of_one_image_is_named(folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    colour(folder / "fish" / "only.png", 7)
    colour(folder / "goat" / "a.png", 8)
    colour(folder / "goat" / "b.png", 9)
    with caplog.at_level(logging.WARNING):
        data = load(folder)
    assert [data.split(name).labels.tolist().count(2) for name in ("train", "val", "test")] == [1, 0, 0]
    assert [data.split(name).labels.tolist().count(3) for name in ("train", "val", "test")] == [1, 1, 0]
    assert [record.message for record in caplog.records] == [
        "set: too few images to be in every split: 'fish' (1), 'goat' (2); "
        "first comes train, then val, then test"
    ]


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
    ((pixels, _),) = large.train.batches(8, CPU, [torch.arange(12)])
    assert torch.equal(pixels, boxed.train.sample())


def test_what_was_left_out_shifts_no_finer_image(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(decoding, "KEPT_SIDE", 4)
    (folder / "cat" / "00bad.png").write_text("sorts before all others")
    split = load(folder, drop_bad=True).train
    assert isinstance(split, MemorySplit)
    ((fine, labels),) = split.batches(8, CPU, [torch.arange(len(split))])
    assert torch.equal(fine[:, :, 0, 0], split.pixels[:, :, 0, 0])
    assert torch.equal(labels, split.labels)


def test_bad_folders(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match=r"empty is empty: expected folders of images"):
        load(tmp_path / "empty")
    shutil.copytree(folder / "cat", tmp_path / "one" / "cat")
    with pytest.raises(DataError, match=r"has one class, 'cat'; a classifier needs two or more"):
        load(tmp_path / "one")
    shutil.copytree(folder, tmp_path / "split" / "train")
    shutil.copytree(folder, tmp_path / "split" / "vall")
    with pytest.raises(DataError, match=r"unknown split folder .*vall: did you mean 'val'"):
        load(tmp_path / "split")
    (tmp_path / "split" / "vall").rename(tmp_path / "split" / "val")
    (tmp_path / "split" / "val" / "dog").rename(tmp_path / "split" / "val" / "dogs")
    with pytest.raises(DataError, match=r"train has no class 'dogs': did you mean 'dog'"):
        load(tmp_path / "split")
    (folder / "fish").mkdir()
    (folder / "fish" / "note.txt").write_text("none yet")
    with pytest.raises(DataError, match=r"no images in .*fish: expected files ending in"):
        load(folder)


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


def test_clothing_comes_with_nars(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
    data = load("clothing")
    assert (data.name, data.size, len(data.classes)) == ("clothing", (96, 3), 10)
    assert [len(data.split(name)) for name in ("train", "val", "test")] == [400, 100, 100]
    assert all(data.split(name).labels.unique().tolist() == [*range(10)] for name in ("train", "val", "test"))
    readme = (Path(sources.__file__).parent / "clothing" / "README.md").read_text()
    assert "clothing-dataset-small" in readme
    assert "CC0 1.0" in readme
    monkeypatch.chdir(tmp_path)
    shutil.copytree(folder, tmp_path / "clothing")  # one's own folder of that name comes first
    assert load("clothing").classes == load(folder).classes


# Arrays


def test_npz(npz: Callable[..., Path]) -> None:
    data = load(npz())
    assert data.classes == ("a", "b")
    assert data.train.sample().shape == (20, 3, 6, 6)
    cut_off = load(npz(x_val=None, y_val=None, x_test=None, y_test=None))
    assert [len(cut_off.split(name)) for name in ("train", "val", "test")] == [12, 4, 4]
    assert cut_off.fingerprint != data.fingerprint
    assert load(npz(classes=None)).classes == ("0", "1")
    wide = np.zeros((20, 6, 10), dtype=np.uint8)
    assert load(npz(x_train=wide)).train.sample().shape == (20, 1, 6, 6)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"x_train": None, "xtrain": np.zeros((20, 6, 6), np.uint8)}, "key 'xtrain': did you mean 'x_train'"),
        ({"x_val": None}, "key 'x_val' is missing; there are: x_train, y_train, y_val"),
        ({"x_train": np.zeros((20, 6, 6))}, "x_train is float64; images must be uint8"),
        ({"x_test": np.zeros((20, 6), np.uint8)}, r"x_test has shape \(20, 6\); images must be N,H,W"),
        ({"y_val": np.zeros(20)}, "y_val is float64; labels must be integers"),
        ({"y_val": np.zeros(19, int)}, r"y_val has shape \(19,\); x_val has 20 images"),
        ({"y_test": np.full(20, 2)}, r"y_test has label 2 \(image 0\); labels of 2 classes are 0..1"),
        ({"y_train": np.arange(20) - 1}, r"y_train has label -1 \(image 0\)"),
        ({"y_train": np.zeros(20, int)}, "y_train has one class"),
        ({"x_val": np.zeros((0, 6, 6), np.uint8), "y_val": np.zeros(0, int)}, "x_val has no images"),
        ({"classes": np.array("a")}, r"classes have shape \(\)"),
        ({"x_train": np.array([None] * 20)}, "Object arrays cannot be loaded"),
    ],
)
def test_bad_npz(npz: Callable[..., Path], changes: dict[str, Any], message: str) -> None:
    path = npz(**changes)
    with pytest.raises(DataError, match=message) as caught:
        load(path)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_npz_cut_short(npz: Callable[..., Path]) -> None:
    path = npz()
    path.write_bytes(path.read_bytes()[:2000])
    with pytest.raises(DataError, match=r"cannot read .*data.npz: File is not a zip file"):
        load(path)


# Names


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("digit", "no data 'digit': .*did you mean 'digits'"),
        ("cifar:x", "did you mean 'cifar"),
        ("cifar10", "cifar10 needs the folder it is in, or goes to: cifar10:FOLDER"),
        ("missing.npz", "cannot read missing.npz"),
    ],
)
def test_unknown_sources(source: str, message: str) -> None:
    with pytest.raises(DataError, match=message):
        load(source)


def test_torchvision_set_without_network(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def unreachable(*_: object, **__: object) -> None:
        raise URLError("no network")

    monkeypatch.setattr("urllib.request.urlopen", unreachable)
    with pytest.raises(DataError, match=r"cifar10 is not in .* and could not be downloaded: .*no network"):
        load(f"cifar10:{tmp_path / 'cifar'}")


class TenPictures:
    """Stands for a data set of torchvision's."""

    classes = ("zero", "one")

    def __init__(self, root: Path, *, train: bool, download: bool) -> None:
        if not download and not root.exists():
            raise RuntimeError("Dataset not found or corrupted.")
        root.mkdir(exist_ok=True)
        self.targets = [0, 1] * (10 if train else 4)

    def __getitem__(self, number: int) -> tuple[Image.Image, int]:
        return Image.new("L", (5, 5), number), self.targets[number]


def test_torchvision_set_is_fetched_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("torchvision.datasets.MNIST", TenPictures)
    data = load(f"mnist:{tmp_path / 'there'}")
    assert (data.classes, len(data.train), len(data.val), len(data.test)) == (("zero", "one"), 16, 4, 8)
    assert data.train.sample().shape == (16, 1, 5, 5)  # grey is held as one channel
    assert load(f"mnist:{tmp_path / 'there'}").fingerprint == data.fingerprint


def test_every_torchvision_set_is_one() -> None:
    from torchvision import datasets

    for name, known in torchvision_sets.SETS.items():
        assert issubclass(getattr(datasets, known.cls), datasets.vision.VisionDataset), name
        assert {"train", "test"} <= set(known.splits), name


def test_summary_is_plain() -> None:
    import json

    summary = json.loads(json.dumps(load("digits").summary()))
    assert summary["splits"]["train"]["images"] == 1079
    assert sum(summary["splits"]["val"]["per_class"].values()) == 359
