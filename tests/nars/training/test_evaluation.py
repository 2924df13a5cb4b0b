from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import sklearn.metrics
import torch
import torch.nn.functional as F
from PIL import Image
from torch import nn

from nars.data import ImageData, load
from nars.data.arrays import from_arrays
from nars.errors import TrialError, UsageError
from nars.training.evaluation import Metrics, check_metric, evaluate, recalibrate
from nars.training.metrics import ACCURACY, METRICS, Metric

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


def test_a_network_of_one_channel_measures_colours_too(tmp_path: Path) -> None:
    """The training images are grey, so the network may take one channel; val has a picture in colour."""
    for number, split in enumerate(("train", "val", "test")):
        for name in ("a", "b"):
            for shade in (40, 200):
                file = tmp_path / split / name / f"{shade}.png"
                file.parent.mkdir(parents=True, exist_ok=True)
                Image.new("RGB", (SIDE, SIDE), (shade, shade, shade + number)).save(file)
    data = load(tmp_path)
    assert (data.train.size.channels, data.val.size.channels) == (1, 3)
    model = nn.Sequential(nn.Conv2d(1, 2, SIDE), nn.Flatten())
    model.in_channels = 1
    assert evaluate(model, data, "val", resolution=SIDE, device=CPU).images == 4


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


# The metrics


class Logits(nn.Module):
    """Answers the rows of a table of logits [N, K], one after the other."""

    def __init__(self, rows: np.ndarray) -> None:
        super().__init__()
        self.rows = torch.tensor(rows, dtype=torch.float32)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return self.rows[: len(images)]


def measured(rows: np.ndarray, labels: np.ndarray, metric: Metric = ACCURACY, **options: bool) -> Metrics:
    data = shades(labels.tolist(), rows.shape[1])
    return evaluate(Logits(rows), data, "val", resolution=4, device=CPU, metric=metric, **options)


@pytest.mark.parametrize("classes", [2, 3, 12])
def test_metrics_are_those_of_scikit_learn(classes: int) -> None:
    rng = np.random.default_rng(classes)
    rows, labels = rng.normal(size=(150, classes)), rng.integers(classes, size=150)
    rows[np.arange(150), labels] += 1
    found = measured(rows, labels, auroc=True)
    answers = rows.argmax(1)
    shares = np.exp(rows) / np.exp(rows).sum(1, keepdims=True)
    assert found.accuracy == found.score == sklearn.metrics.accuracy_score(labels, answers)
    assert found.balanced_accuracy == pytest.approx(
        sklearn.metrics.balanced_accuracy_score(labels, answers), rel=1e-15
    )
    assert found.macro_f1 == pytest.approx(
        sklearn.metrics.f1_score(labels, answers, average="macro"), rel=1e-15
    )
    area = (
        sklearn.metrics.roc_auc_score(labels, shares[:, 1])
        if classes == 2
        else sklearn.metrics.roc_auc_score(labels, shares, multi_class="ovr", average="macro")
    )
    assert found.auroc == pytest.approx(area, rel=1e-12)
    assert np.array_equal(found.confusion, sklearn.metrics.confusion_matrix(labels, answers))


@pytest.mark.parametrize("name", METRICS)
def test_the_score_is_the_metric_that_is_asked_for(name: str) -> None:
    rng = np.random.default_rng(0)
    rows, labels = rng.normal(size=(90, 3)), np.arange(90) % 5 % 3
    found = measured(rows, labels, Metric(name), auroc=True)
    assert found.score == getattr(found, name)
    assert len({getattr(found, each) for each in METRICS}) == len(METRICS)


def test_a_function_gets_labels_and_probabilities() -> None:
    seen = []

    def function(labels: np.ndarray, probabilities: np.ndarray) -> float:
        seen.append((labels, probabilities))
        return -3.5

    rows, labels = np.log([[0.5, 0.25, 0.25], [0.1, 0.1, 0.8]]), np.array([0, 2])
    assert measured(rows, labels, Metric("mine:f", function)).score == -3.5
    assert seen[0][0].tolist() == [0, 2]
    assert seen[0][1].dtype == np.float64
    assert seen[0][1] == pytest.approx(np.exp(rows), rel=1e-6)


def test_auroc_is_over_the_classes_that_are_in_the_split() -> None:
    rows = np.array([[3.0, 1, 0], [2, 2.5, 1], [0, 1, 1], [1, 3, 2]])
    labels = np.array([0, 0, 1, 1])
    found = measured(rows, labels, auroc=True)
    shares = np.exp(rows) / np.exp(rows).sum(1, keepdims=True)
    areas = [sklearn.metrics.roc_auc_score(labels == label, shares[:, label]) for label in (0, 1)]
    assert found.auroc == pytest.approx(np.mean(areas))
    assert areas[0] != areas[1]


def test_auroc_of_one_class_is_undefined() -> None:
    rows = np.eye(3)[[0, 1, 1]]
    data = replace(shades([0, 1, 1], 3), val=shades([1, 1, 0], 3).val)
    data.val.labels[2] = 1
    found = evaluate(Logits(rows), data, "val", resolution=4, device=CPU, auroc=True)
    assert found.auroc is None
    assert found.score == 2 / 3
    with pytest.raises(TrialError, match="metric auroc needs images of two classes in val"):
        evaluate(Logits(rows), data, "val", resolution=4, device=CPU, metric=Metric("auroc"))
    with pytest.raises(UsageError, match="auroc needs two classes: the 3 images of val are all of '1'"):
        check_metric(Metric("auroc"), data, "val")
    check_metric(Metric("macro_f1"), data, "val")


def test_a_function_is_tried_before_anything_is_trained() -> None:
    data = shades([0, 1, 2, 2], 3)
    check_metric(
        Metric("mine:f", lambda labels, probabilities: probabilities.sum() - len(labels)), data, "val"
    )
    with pytest.raises(
        UsageError, match=r"metric mine:f returned nan on test.+ probabilities drawn at random"
    ):
        check_metric(Metric("mine:f", lambda labels, probabilities: float("nan")), data, "test")


def test_a_network_that_is_not_finite_has_no_score() -> None:
    def function(labels: np.ndarray, probabilities: np.ndarray) -> float:
        raise AssertionError

    rows = np.full((4, 3), np.nan)
    found = measured(rows, np.array([0, 1, 2, 2]), Metric("mine:f", function), auroc=True)
    assert np.isnan(found.score)
    assert np.isnan(found.loss)
    assert found.auroc is None
