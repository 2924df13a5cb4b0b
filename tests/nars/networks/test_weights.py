"""Files of weights: what they carry, and which are refused."""

from __future__ import annotations

import os
import pickle
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from nars.data import ImageData
from nars.data.arrays import from_arrays
from nars.device import seeded
from nars.errors import WeightsError
from nars.networks.build import build
from nars.networks.weights import check_state, load_weights, save_weights
from nars.spec import Architecture, Block, Candidate, Recipe
from nars.training.evaluation import evaluate

CPU = torch.device("cpu")
SIDE = 8

ARCHITECTURE = Architecture(
    resolution=SIDE,
    stages=(
        (Block(op="conv", channels=8, kernel=3, stride=2),),
        (Block(op="mbpool", channels=8, expansion=2),),
    ),
)
CANDIDATE = Candidate(architecture=ARCHITECTURE, recipe=Recipe(dropout=0.1))


@pytest.fixture(scope="module")
def data() -> ImageData:
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (60, SIDE, SIDE), dtype=np.uint8)
    return from_arrays("noise", {"x_train": images, "y_train": np.arange(60) % 3})


def network() -> nn.Module:
    """Statistics of its norms included, nothing of it is as fresh networks have it."""
    with seeded(0, CPU):
        model = build(ARCHITECTURE, 3)
        for tensor in model.state_dict().values():
            if tensor.is_floating_point():
                tensor.uniform_(0.1, 1.0)
    return model


def save(path: Path, model: nn.Module, data: ImageData, metrics: dict[str, float] | None = None) -> None:
    about = {"classes": data.classes, "mean": data.mean, "std": data.std}
    save_weights(path, model, CANDIDATE, metrics or {}, **about)


@pytest.mark.parametrize("suffix", [".pt", ".safetensors"])
def test_weights_round_trip(suffix: str, data: ImageData, tmp_path: Path) -> None:
    trained = network()
    path = tmp_path / f"weights{suffix}"
    save(path, trained, data, {"accuracy": 0.5})
    weights = load_weights(path)
    assert weights.candidate == CANDIDATE
    assert weights.classes == data.classes
    assert weights.mean == tuple(data.mean.tolist())
    assert weights.metrics == {"accuracy": 0.5}
    model = weights.network()
    assert not model.training
    metrics = [evaluate(each, data, "val", resolution=SIDE, device=CPU) for each in (trained, model)]
    assert metrics[0] == metrics[1]
    assert metrics[0].loss > 0


class Malicious:
    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Callable[..., object], tuple[str]]:
        return os.mkdir, (str(self.path),)


@pytest.mark.parametrize("writer", [torch.save, lambda obj, path: path.write_bytes(pickle.dumps(obj))])
def test_code_in_weights_is_refused_and_not_run(tmp_path: Path, writer: Callable[..., object]) -> None:
    writer({"format": "nars.weights", "state": Malicious(tmp_path / "ran")}, tmp_path / "bad.pt")
    with pytest.raises(WeightsError, match=r"bad\.pt: refused: [^\n]*$"):
        load_weights(tmp_path / "bad.pt")
    assert not (tmp_path / "ran").exists()


def test_weights_that_cannot_be_used_say_why(data: ImageData, tmp_path: Path) -> None:
    path = tmp_path / "weights.pt"
    with pytest.raises(WeightsError, match=r"cannot read .*weights.pt: No such file"):
        load_weights(path)
    save(path, network(), data)
    whole = path.read_bytes()
    content = torch.load(path, weights_only=True)
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(WeightsError, match="not a whole checkpoint"):
        load_weights(path)
    cases = [
        ({"epoch": 3}, "not a file of nars weights$"),
        ({"format": "nars.detector"}, "holds a detector, which is for the commands of `nars detect`"),
        ({"weight": torch.ones(1)}, "not a file of nars weights; --init takes networks of torchvision and"),
        ({"model": {"a": torch.ones(1)}, "epoch": 3}, "nars weights; .* as torchvision:NAME or timm:NAME"),
        (content | {"schema": 2}, "schema is 2, this version reads 1"),
        (content | {"candidate": "kind: recipe"}, "damaged: .*kind is 'recipe'"),
        (content | {"mean": [0.5]}, "damaged: expected three channels, got 1"),
        (content | {"state": {"a": "b"}}, "not made of tensors"),
    ]
    for changed, message in cases:
        torch.save(changed, path)
        with pytest.raises(WeightsError, match=message):
            load_weights(path)
    name = next(iter(content["state"]))
    states = [
        ({}, rf"has no {name}, which the network has"),
        (
            content["state"] | {name: torch.ones(1)},
            rf"{name} has shape \(1,\), the network's is \(8, 3, 3, 3\)",
        ),
        (content["state"] | {"more": torch.ones(1)}, "has more, which the network has not"),
        (content["state"] | {"m" * 5000: torch.ones(1)}, r"has m+ \[...\] m+, which the network has not$"),
    ]
    for state, message in states:
        torch.save(content | {"state": state}, path)
        with pytest.raises(WeightsError, match=message):
            load_weights(path).network()


def _not_finite(state: dict[str, torch.Tensor]) -> None:
    next(iter(state.values())).fill_(torch.nan)


def _whole_numbers(state: dict[str, torch.Tensor]) -> None:
    name = next(iter(state))
    state[name] = state[name].long()


@pytest.mark.parametrize(
    ("damage", "words"), [(_not_finite, "not finite"), (_whole_numbers, "is of torch.int64")]
)
def test_weights_of_other_values_are_refused(
    damage: Callable[[dict[str, torch.Tensor]], None], words: str
) -> None:
    model = network()
    state = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    check_state(model.state_dict(), state, "a.pt")
    damage(state)
    with pytest.raises(WeightsError, match=rf"a\.pt: \S+ .*{words}"):
        check_state(model.state_dict(), state, "a.pt")


@pytest.mark.parametrize(
    ("field", "value", "words"),
    [
        ("metrics", {"accuracy": "x"}, "metric 'accuracy' is no number"),
        ("metrics", {"accuracy": [1]}, "metric 'accuracy' is no number"),
        ("std", [0.1, 0.0, 0.1], "not above 0"),
        ("std", [0.1, float("inf"), 0.1], "not finite"),
        ("mean", [0.1, float("nan"), 0.1], "not finite"),
    ],
)
def test_numbers_of_a_file_have_a_range(
    data: ImageData, tmp_path: Path, field: str, value: object, words: str
) -> None:
    save(tmp_path / "a.pt", network(), data)
    content = torch.load(tmp_path / "a.pt", weights_only=True)
    torch.save(content | {field: value}, tmp_path / "a.pt")
    with pytest.raises(WeightsError, match=rf"a\.pt: damaged: .*{words}"):
        load_weights(tmp_path / "a.pt")
