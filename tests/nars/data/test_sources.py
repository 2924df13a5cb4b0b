"""Data by name: those that come with nars, and names that are none."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
import torch

from nars.data import load, sources
from nars.errors import DataError


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


def test_summary_is_plain() -> None:
    summary = json.loads(json.dumps(load("digits").summary()))
    assert summary["splits"]["train"]["images"] == 1079
    assert sum(summary["splits"]["val"]["per_class"].values()) == 359
