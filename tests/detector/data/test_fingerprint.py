"""The digest of a data set changes with its content, and only with that."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
import torch

from detector.data import scenes
from detector.data.coco import write
from detector.data.fingerprint import earlier_fingerprint, fingerprint
from detector.data.layouts import load
from detector.task import Detection


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("data") / "scenes"
    write(scenes.make(train=3, val=2), path)
    return path


def test_a_copy_elsewhere_is_equal(folder: Path, tmp_path: Path) -> None:
    copy = Path(shutil.copytree(folder, tmp_path / "copy"))
    assert fingerprint(load(copy)) == fingerprint(load(folder))


def test_a_replaced_picture_of_the_same_size_is_noticed(folder: Path, tmp_path: Path) -> None:
    copy = Path(shutil.copytree(folder, tmp_path / "copy"))
    before = load(copy)
    digests = fingerprint(before), earlier_fingerprint(before)
    file = before.train.path(before.train.images[0])
    file.write_bytes(file.read_bytes()[:-1] + b"!")
    assert earlier_fingerprint(load(copy)) == digests[1]
    assert fingerprint(load(copy)) != digests[0]


def test_a_search_of_version_0_1_knows_its_data(folder: Path) -> None:
    task = Detection.open(folder, torch.device("cpu"))
    assert task.is_of(f"detection:{earlier_fingerprint(load(folder))}")
    assert task.fingerprint == f"detection:{fingerprint(load(folder))}"
