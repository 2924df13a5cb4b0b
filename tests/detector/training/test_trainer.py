"""A training holds its images in memory once."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from toys import TRAINING, model, squares

from detector.data import layouts
from detector.data.coco import write
from detector.training import trainer
from detector.training.trainer import Trainer
from nars.errors import DataError

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
