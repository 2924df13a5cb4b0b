"""How much of its parent an untrained network keeps."""

from __future__ import annotations

import math
from dataclasses import replace

import golden
import numpy as np
import pytest
import torch
from sklearn.linear_model import Ridge

import nars
from nars.data import ImageData, load
from nars.parents.inherit import inherit
from nars.parents.parent import Parent
from nars.parents.statistic import Answers, answers, answers_of, kept
from nars.spec import Architecture, Block
from nars.training.evaluation import evaluate

CPU = torch.device("cpu")
ARCHITECTURE = Architecture(
    name="parent",
    resolution=8,
    stages=[
        [Block(op="conv", channels=8, kernel=3)],
        [Block(op="mbconv", channels=16, kernel=3, expansion=4, repeats=2)],
        [Block(op="conv", channels=32, kernel=1)],
    ],
)


def random(count: int, seed: int) -> torch.Tensor:
    return torch.randn(40, count, generator=torch.Generator().manual_seed(seed))


@pytest.fixture(scope="module")
def digits() -> ImageData:
    return load("digits")


@pytest.fixture(scope="module")
def origin(digits: ImageData) -> Parent:
    model = golden.fill(nars.build(ARCHITECTURE, 10), 2.2)
    mean, std = tuple(digits.mean.tolist()), tuple(digits.std.tolist())
    return Parent(ARCHITECTURE, model.state_dict(), digits.classes, mean, std, "test")


def test_a_network_like_its_parent_keeps_everything(origin: Parent, digits: ImageData) -> None:
    known = answers_of(origin, digits, CPU)
    model = nars.build(ARCHITECTURE, 10)
    model.load_state_dict(dict(origin.state))
    same = kept(answers(model, digits, resolution=8, device=CPU), known)
    assert same.divergence == pytest.approx(0, abs=1e-9)
    assert same.similarity == pytest.approx(1)
    few = replace(digits, val=digits.train)
    assert same.accuracy == pytest.approx(
        evaluate(model, few, "val", resolution=8, device=CPU).accuracy, abs=0.1
    )
    assert model.training


def test_a_sliced_network_keeps_less_and_a_fresh_one_least(origin: Parent, digits: ImageData) -> None:
    known = answers_of(origin, digits, CPU)
    row = ARCHITECTURE.stages[1][0]
    sliced = ARCHITECTURE.replace(
        stages=[ARCHITECTURE.stages[0], [row.replace(expansion=3)], ARCHITECTURE.stages[2]]
    )
    torch.manual_seed(0)
    found = []
    for architecture in (ARCHITECTURE, sliced):
        model = nars.build(architecture, 10)
        inherit(model, architecture, origin, digits.classes)
        found.append(kept(answers(model, digits, resolution=8, device=CPU), known))
    found.append(kept(answers(nars.build(sliced, 10), digits, resolution=8, device=CPU), known))
    assert found[0].divergence < found[1].divergence < found[2].divergence
    assert found[0].similarity > found[1].similarity > found[2].similarity
    assert found[0].echo > found[1].echo > found[2].echo


def test_the_probe_leaves_every_image_out_in_turn() -> None:
    features, labels = random(6, 0), torch.arange(40) % 3
    child = Answers(random(3, 1), features, labels)
    probe = kept(child, Answers(random(3, 2), random(5, 3), labels)).probe
    centred = (features - features.mean(dim=0)).double()
    penalty = float(centred.square().sum(dim=1).mean())
    x, y = features.double().numpy(), np.eye(3)[labels.numpy()]
    residual = []
    for image in range(40):
        others = np.arange(40) != image
        predicted = Ridge(alpha=penalty).fit(x[others], y[others]).predict(x[image : image + 1])
        residual.append(y[image] - predicted[0])
    expected = 1 - np.square(residual).sum() / np.square(y - y.mean(axis=0)).sum()
    assert probe == pytest.approx(expected, abs=1e-6)


def test_similarity_ignores_rotation_and_scale() -> None:
    features, labels = random(6, 0), torch.arange(40) % 3
    rotation = torch.linalg.qr(random(40, 4)[:6, :6]).Q
    logits = random(3, 1)
    parent = Answers(logits, features, labels)
    assert kept(Answers(logits, 3 * features @ rotation + 1, labels), parent).similarity == pytest.approx(1)
    assert kept(Answers(logits, random(6, 5), labels), parent).similarity < 0.5


def test_other_classes_leave_the_classifier_out() -> None:
    labels = torch.arange(40) % 3
    found = kept(Answers(random(3, 0), random(6, 1), labels), Answers(random(10, 2), random(6, 3), labels))
    assert math.isnan(found.accuracy)
    assert math.isnan(found.divergence)
    assert -1 < found.echo < 1
