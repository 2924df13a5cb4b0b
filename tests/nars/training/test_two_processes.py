"""Two processes train a classifier to the result of one, and continue each other's trainings."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
import torchrun

from nars.spec import Architecture, Block, Candidate, Recipe

pytestmark = pytest.mark.slow
ARCHITECTURE = Architecture(
    name="tiny",
    resolution=8,
    stages=(
        (Block(op="conv", channels=8, kernel=3, stride=2),),
        (Block(op="mbpool", channels=16, expansion=2),),
    ),
)
SCRIPT = Path(__file__).with_name("two_processes.py")


def trained(out: Path, processes: int, epochs: int = 3, *more: str) -> dict[str, Any]:
    done = torchrun.run(SCRIPT, out, epochs, *more, processes=processes)
    assert done.returncode == 0, done.stderr[-2000:]
    content: dict[str, Any] = torch.load(out, weights_only=True)
    return content


def furthest(one: dict[str, Any], other: dict[str, Any]) -> float:
    """Largest difference of any weight or running statistic, relative to the largest of its tensor."""
    worst = 0.0
    for name, tensor in other["state"].items():
        expected = one["state"][name].double()
        scale = max(float(expected.abs().max()), 1e-3)
        worst = max(worst, float((expected - tensor.double()).abs().max()) / scale)
    return worst


def test_two_processes_reach_the_result_of_one_in_any_order(tmp_path: Path) -> None:
    """With mixing, an average, class weights, a teacher, clipping and batches of an odd size."""
    one = trained(tmp_path / "one.pt", 1)
    two = trained(tmp_path / "two.pt", 2)
    assert len(one["losses"]) == len(two["losses"]) == 3
    assert two["losses"] == pytest.approx(one["losses"], rel=1e-4)
    assert furthest(one, two) < 1e-4
    for first, second in ((1, 2), (2, 1)):
        out = tmp_path / f"{first}{second}.pt"
        trained(out, first, 1)
        resumed = trained(out, second)
        assert len(resumed["losses"]) == 3
        assert furthest(one, resumed) < 1e-4
    other = trained(tmp_path / "other.pt", 2, 3, "--dropout", "0.3")
    assert furthest(one, other) > 1e-2  # so the comparison can fail


def test_processes_that_train_something_else_are_told(tmp_path: Path) -> None:
    done = torchrun.run(SCRIPT, tmp_path / "out.pt", 1, "--second", "7", processes=2)
    assert done.returncode != 0
    assert "have another seed: give all processes the same files and options" in done.stderr


def test_the_command_prints_once_and_writes_what_one_process_writes(tmp_path: Path) -> None:
    arch = tmp_path / "tiny.yaml"
    arch.write_text(Candidate(architecture=ARCHITECTURE, recipe=Recipe(epochs=1), data="digits").to_yaml())
    command = ["-m", "nars", "train", arch, "--device", "cpu"]
    done = [
        torchrun.run(*command, "--json", "-o", tmp_path / f"{processes}.pt", processes=processes)
        for processes in (1, 2)
    ]
    assert [each.returncode for each in done] == [0, 0], done[1].stderr[-2000:]
    one, two = (json.loads(each.stdout) for each in done)
    assert two["val_accuracy"] == pytest.approx(one["val_accuracy"], abs=0.01)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["1.pt", "2.pt", "tiny.yaml"]
    said = torchrun.run(*command, "--batch-size", "1", "-o", tmp_path / "3.pt", processes=2)
    assert "batches of 1 images cannot be shared by 2 processes" in said.stderr
