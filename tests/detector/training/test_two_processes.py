"""Two processes train a detector to the result of one, and continue each other's trainings."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
import torchrun

pytestmark = pytest.mark.slow
SCRIPT = Path(__file__).with_name("two_processes.py")


def trained(
    out: Path, processes: int, epochs: int = 2, norm: str = "naive_sync_bn", seed: int = 0
) -> dict[str, Any]:
    done = torchrun.run(SCRIPT, out, epochs, norm, seed, processes=processes)
    assert done.returncode == 0, done.stderr[-2000:]
    content: dict[str, Any] = torch.load(out, weights_only=True)
    return content


def furthest(one: dict[str, Any], other: dict[str, Any]) -> float:
    """Largest difference of any weight or running statistic, relative to the largest of its tensor."""
    worst = 0.0
    for name, tensor in other["state"].items():
        expected = one["state"][name].double()
        scale = max(float(expected.abs().max()), 1e-3)  # means of maps that are zero up to rounding
        worst = max(worst, float((expected - tensor.double()).abs().max()) / scale)
    return worst


@pytest.mark.parametrize("norm", ["naive_sync_bn", "bn", "gn"])
def test_two_processes_reach_the_result_of_one(tmp_path: Path, norm: str) -> None:
    one = trained(tmp_path / "one.pt", 1, norm=norm)
    two = trained(tmp_path / "two.pt", 2, norm=norm)
    assert furthest(one, two) < 1e-3  # rounding, which four steps have made larger
    assert two["scores"]["ap"] == pytest.approx(one["scores"]["ap"], abs=0.01)
    for first, second in zip(one["losses"], two["losses"], strict=True):
        assert second == pytest.approx(first, rel=1e-4)
    other = trained(tmp_path / "other.pt", 2, norm=norm, seed=1)
    assert furthest(one, other) > 1e-2  # so the comparison can fail


def test_one_process_continues_what_two_began(tmp_path: Path) -> None:
    one = trained(tmp_path / "one.pt", 1)
    for first, second in ((1, 2), (2, 1)):
        out = tmp_path / f"{first}{second}.pt"
        trained(out, first, epochs=1)
        resumed = trained(out, second)
        assert len(resumed["losses"]) == 2
        assert furthest(one, resumed) < 1e-3
