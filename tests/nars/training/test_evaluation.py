from __future__ import annotations

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

from nars.data import ImageData
from nars.data.arrays import from_arrays
from nars.training.evaluation import evaluate, recalibrate

CPU = torch.device("cpu")
SIDE = 8


@pytest.fixture(scope="module")
def data() -> ImageData:
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (60, SIDE, SIDE), dtype=np.uint8)
    return from_arrays("noise", {"x_train": images, "y_train": np.arange(60) % 3})


class Says(nn.Module):
    """Finds in the brightness of an image what it is to answer."""

    def __init__(self, answers: dict[int, int], classes: int) -> None:
        super().__init__()
        self.answers, self.classes = answers, classes

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        order = images.mean((1, 2, 3)).unique(return_inverse=True)[1].tolist()
        return F.one_hot(torch.tensor([self.answers[each] for each in order]), self.classes).float() * 8


def shades(labels: list[int], classes: int) -> ImageData:
    """One image per label, flat, its grey level ten times the label."""
    y = np.array(labels)
    x = np.broadcast_to((y * 10).astype(np.uint8)[:, None, None], (len(y), 4, 4))
    pair = {f"x_{split}": x for split in ("train", "val", "test")}
    return from_arrays(
        "shades", pair | {f"y_{split}": y for split in ("train", "val", "test")}, map(str, range(classes))
    )


def test_metrics_by_hand() -> None:
    data = shades([0, 0, 0, 1, 2, 2], 4)
    metrics = evaluate(Says({0: 0, 1: 0, 2: 2}, 4), data, "val", resolution=4, device=CPU)
    assert metrics.accuracy == pytest.approx(5 / 6)
    assert metrics.recall == (1.0, 0.0, 1.0, None)
    assert metrics.balanced_accuracy == pytest.approx(2 / 3)
    assert metrics.top5 is None
    assert metrics.images == 6
    # Logits are 8 and three zeros: a right answer costs log(1 + 3 exp(-8)), the wrong one 8 more.
    assert metrics.loss == pytest.approx(np.log1p(3 * np.exp(-8)) + 8 / 6, rel=1e-5)


def test_top5_from_ten_classes_on() -> None:
    metrics = evaluate(
        Says({each: each for each in range(10)}, 10),
        shades(list(range(10)), 10),
        "test",
        resolution=4,
        device=CPU,
    )
    assert metrics.top5 == metrics.accuracy == 1.0


def test_evaluation_leaves_the_model_as_it_was(data: ImageData) -> None:
    model = nn.Sequential(nn.BatchNorm2d(3), nn.Conv2d(3, 3, SIDE), nn.Flatten())
    state = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    evaluate(model, data, "val", resolution=SIDE, device=CPU)
    assert model.training
    assert all(torch.equal(state[name], tensor) for name, tensor in model.state_dict().items())


def test_recalibration_takes_the_statistics_of_the_training_images(data: ImageData) -> None:
    norm = nn.BatchNorm2d(3, momentum=0.1)
    with torch.no_grad():
        norm.running_mean.fill_(9.0)
    recalibrate(nn.Sequential(norm), data, resolution=SIDE, device=CPU)
    # Training images are normalised by their own moments, and fit into one batch here.
    torch.testing.assert_close(norm.running_mean, torch.zeros(3), atol=1e-5, rtol=0)
    torch.testing.assert_close(norm.running_var, torch.ones(3), atol=1e-3, rtol=0)
    assert norm.momentum == 0.1
    assert norm.training
