"""A training holds its images in memory once, and knows its own checkpoint."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import nn
from toys import TRAINING, model, squares

from detector.data import layouts
from detector.data.coco import write
from detector.model.detector import Detector
from detector.training import trainer
from detector.training.trainer import Trainer
from nars.errors import DataError, RunError
from nars.tensors import fingerprint, read_tensors, write_tensors

CPU = torch.device("cpu")


@pytest.mark.parametrize("loading", [0, 2])
def test_images_are_kept_unless_several_processes_would_each_keep_their_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, loading: int
) -> None:
    write(squares(train=2, val=1), tmp_path / "squares")
    data = layouts.load(tmp_path / "squares")
    monkeypatch.setattr(trainer, "default_workers", lambda _device: loading)  # as on a GPU
    made = Trainer(model(), data, TRAINING, CPU, seed=0)
    made.dataset[0]
    data.train.path(data.train.images[0]).unlink()
    if loading:
        with pytest.raises(DataError, match="no such file"):
            made.dataset[0]
    else:
        assert made.dataset[0][0].shape[0] == 3


def test_first_statistics_that_are_rounded_otherwise_are_of_the_same_training(tmp_path: Path) -> None:
    """What a detector inherits is measured on images, with the threads and the device that there are."""

    def made(statistic: float = 0.0, weight: float = 0.0) -> Trainer:
        detector = _with_first_norm(statistic, weight)
        return Trainer(detector, squares(train=2, val=1), TRAINING, CPU, seed=0)

    file = tmp_path / "checkpoint.pt"
    made().save(file)
    made(statistic=1e-7).restore(file)
    with pytest.raises(RunError, match="of another training: start was"):
        made(weight=1.0).restore(file)

    content = read_tensors(file)  # as it was when the statistics counted
    content["identity"]["start"] = fingerprint(model().state_dict())
    write_tensors(file, content)
    made().restore(file)


def _with_first_norm(statistic: float, weight: float) -> Detector:
    """The toy detector with something added to a running mean and to a weight of its first norm."""
    detector = model()
    norm = next(each for each in detector.modules() if isinstance(each, nn.BatchNorm2d))
    assert norm.running_mean is not None
    norm.running_mean += statistic
    with torch.no_grad():
        norm.weight += weight
    return detector
