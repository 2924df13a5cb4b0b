"""From a file to a detector: one way, and each file is read once."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest
import torch
import toys

import detector
from detector.data.records import CocoData
from detector.training.plan import plan
from detector.weights.checkpoints import checkpoint_of
from detector.weights.saved import load_detector, save_detector

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def data() -> CocoData:
    return toys.squares(train=4, val=2)


def test_a_saved_detector_is_read_once(data: CocoData, tmp_path: Path) -> None:
    model, path = toys.model(), tmp_path / "toy.pt"
    save_detector(path, model, toys.CLASSES)
    saved = load_detector(path)
    path.unlink()
    built = plan(saved, data, CPU).build(3, 0)
    assert built.settings == model.settings
    for name, tensor in model.state_dict().items():
        assert torch.equal(built.state_dict()[name], tensor), name


def test_a_plan_builds_as_detector_build_does(
    data: CocoData, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    model, path = toys.model(), tmp_path / "toy.safetensors"
    save_detector(path, model, toys.CLASSES)
    planned = plan(load_detector(path), data, CPU)
    with caplog.at_level(logging.INFO, "detector"):
        one = planned.build(5, seed=3)
        torch.manual_seed(3)
        checkpoint = checkpoint_of(load_detector(path))
        other = detector.build(model.parts, 5, weights=checkpoint, settings=planned.settings)
    first, second = (record.message for record in caplog.records)
    assert first == second
    assert "another number of classes" in first
    for name, tensor in other.state_dict().items():
        assert torch.equal(one.state_dict()[name], tensor), name
