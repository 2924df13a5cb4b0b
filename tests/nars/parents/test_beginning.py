"""What a full training begins with."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import nn

from nars.data import load
from nars.networks.build import build
from nars.networks.weights import save_weights
from nars.parents.beginning import Beginning
from nars.spec import Architecture, Block, Candidate

CPU = torch.device("cpu")
ARCHITECTURE = Architecture(
    name="small",
    resolution=8,
    stages=[
        [Block(op="conv", channels=4, kernel=3)],
        [Block(op="mbconv", channels=8, kernel=3, expansion=2, stride=2)],
        [Block(op="conv", channels=16, kernel=1)],
    ],
)


def file(path: Path, mean: float = 0.5) -> nn.Module:
    digits, candidate = load("digits"), Candidate(architecture=ARCHITECTURE)
    model = build(ARCHITECTURE, 10)
    third = torch.ones(3) / 3
    save_weights(path, model, candidate, {}, classes=digits.classes, mean=torch.full((3,), mean), std=third)
    return model


def test_random_weights_change_nothing() -> None:
    beginning, digits = Beginning.of("none", None), load("digits")
    model = build(ARCHITECTURE, 10)
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    assert beginning.begin(model, ARCHITECTURE, digits, CPU) is None
    assert all(torch.equal(tensor, before[name]) for name, tensor in model.state_dict().items())
    assert beginning.as_seen(digits) is digits
    assert beginning.fingerprint is None


def test_a_file_gives_its_weights_and_its_pixels(tmp_path: Path) -> None:
    theirs = file(tmp_path / "a.pt")
    beginning = Beginning.of("none", tmp_path / "a.pt")
    digits, mine = beginning.as_seen(load("digits")), build(ARCHITECTURE, 10)
    line = beginning.begin(mine, ARCHITECTURE, digits, CPU)
    assert line == f"starting from the weights in {tmp_path / 'a.pt'}"
    assert digits.mean.tolist() == [0.5, 0.5, 0.5]
    states = mine.state_dict(), theirs.state_dict()
    assert all(torch.equal(states[0][name], states[1][name]) for name in states[0] | states[1])


def test_fingerprints_tell_weights_apart(tmp_path: Path) -> None:
    for name, mean in (("a", 0.5), ("b", 0.5), ("c", 0.25)):
        torch.manual_seed(name == "b")
        file(tmp_path / f"{name}.pt", mean)
    paths = [tmp_path / f"{name}.pt" for name in "abca"]
    for prints in (
        [Beginning.of("none", path).fingerprint for path in paths],
        [Beginning.of(str(path), None).fingerprint for path in paths],
    ):
        assert prints[0] == prints[3]
        assert len(set(prints)) == 3
