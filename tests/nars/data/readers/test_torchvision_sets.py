"""Data sets of torchvision's."""

from __future__ import annotations

from pathlib import Path
from urllib.error import URLError

import pytest
from PIL import Image

from nars.data import load
from nars.data.readers import torchvision_sets
from nars.errors import DataError


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
