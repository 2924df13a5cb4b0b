from __future__ import annotations

from pathlib import Path

import pytest
import torch
from small_checkpoints import QUICK, SMALL, assert_same, saved
from torch import nn

import detector
from detector.weights.checkpoints import read_checkpoint
from detector.weights.saved import load_detector, save_detector
from nars.errors import UsageError, WeightsError


@pytest.mark.parametrize("suffix", [".pt", ".safetensors"])
def test_saved_detectors_come_back(suffix: str, small: nn.Module, tmp_path: Path) -> None:
    path = tmp_path / f"best{suffix}"
    save_detector(path, small, ("cat", "dog", "cow"), {"AP": 0.5})
    content = load_detector(path)
    assert content.classes == ("cat", "dog", "cow")
    assert content.metrics == {"AP": 0.5}
    assert content.parts == small.parts
    assert content.settings == small.settings
    back = content.detector()
    assert not back.training
    assert_same(back, small.state_dict())
    # and start another training
    checkpoint = read_checkpoint(path)
    assert checkpoint.classes == ("cat", "dog", "cow")
    assert_same(detector.build(SMALL, 3, weights=path, settings=QUICK), small.state_dict())
    with pytest.raises(UsageError, match="2 class names for a detector of 3 classes"):
        save_detector(path, small, ("cat", "dog"))


@pytest.mark.parametrize("missing", ["parts", "settings", "classes", "state", "metrics"])
def test_damaged_files_of_detectors_are_refused(missing: str, small: nn.Module, tmp_path: Path) -> None:
    path = tmp_path / "best.pt"
    save_detector(path, small, ("cat", "dog", "cow"))
    content = torch.load(path, weights_only=True)
    del content[missing]
    with pytest.raises(WeightsError, match=f"damaged: '{missing}'"):
        load_detector(saved(path, content))
    with pytest.raises(WeightsError, match="schema is 9"):
        load_detector(saved(path, content | {"schema": 9}))
    with pytest.raises(WeightsError, match="not a file of a nars detector"):
        load_detector(saved(path, {"model": {}}))
