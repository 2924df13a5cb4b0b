"""Classifiers whose classes are put in the order of other data."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from nars.data import ImageData
from nars.data.arrays import from_arrays
from nars.deploy.reordered import Reordered
from nars.networks.build import build
from nars.spec import Architecture, Block
from nars.training.evaluation import evaluate

SIDE, ORDER = 8, [2, 0, 1]
SPLITS = ("train", "val", "test")


@pytest.mark.parametrize("channels", [1, 3])
def test_it_measures_what_its_network_does(channels: int) -> None:
    labels = np.arange(60) % 3
    images = np.random.default_rng(0).integers(0, 256, (60, SIDE, SIDE), dtype=np.uint8)

    def data(numbers: np.ndarray) -> ImageData:
        arrays = {f"{name}_{split}": images if name == "x" else numbers for name in "xy" for split in SPLITS}
        return from_arrays("noise", arrays)

    block = Block(op="conv", channels=8, kernel=3, stride=2)
    torch.manual_seed(0)
    network = build(Architecture(resolution=SIDE, in_channels=channels, stages=[[block]]), 3)
    torch.nn.init.normal_(network.get_submodule("head.classifier").weight)
    device = torch.device("cpu")
    plain = evaluate(network, data(np.array(ORDER)[labels]), "train", resolution=SIDE, device=device)
    reordered = evaluate(Reordered(network, ORDER), data(labels), "train", resolution=SIDE, device=device)
    assert 0 < reordered.accuracy == plain.accuracy < 1
    assert reordered.loss == pytest.approx(plain.loss)
    assert reordered.recall == tuple(plain.recall[label] for label in ORDER)
