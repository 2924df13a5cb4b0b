"""Several processes train like one process on the joined batch, on a CPU by gloo."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

from detector import distributed
from nars.errors import UsageError

SCRIPT = Path(__file__).with_name("two_processes.py")


def step(processes: int, folder: Path, norm: str = "naive_sync_bn") -> dict[str, Any]:
    out = folder / f"{processes}-{norm}.pt"
    launch = ["-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={processes}"]
    command = [*(launch if processes > 1 else []), str(SCRIPT), str(out), str(8 // processes), norm]
    environment = os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": str(SCRIPT.parents[3])}
    done = subprocess.run(
        [sys.executable, *command], env=environment, capture_output=True, text=True, check=False
    )
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


@pytest.mark.slow
def test_two_processes_equal_the_double_batch(tmp_path: Path) -> None:
    one, two = step(1, tmp_path), step(2, tmp_path)
    # float32 sums in another order differ by 1e-6, and near-zero means by some more.
    assert furthest(one, two) < 1e-4
    assert two["scores"]["ap"] == pytest.approx(one["scores"]["ap"], abs=0.01)
    # With statistics of each process alone they differ, which proves that the comparison can fail.
    assert furthest(step(1, tmp_path, "bn"), step(2, tmp_path, "bn")) > 1e-2


def test_alone() -> None:
    with distributed.joined("cpu") as device:
        assert device == torch.device("cpu")
        assert (distributed.rank(), distributed.world_size()) == (0, 1)
        assert distributed.is_first()
        assert distributed.gathered([1, 2]) == [1, 2]
        model = torch.nn.Linear(1, 1)
        assert distributed.wrap(model, device) is model


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a CUDA device")
def test_missing_device() -> None:
    with pytest.raises(UsageError, match="no CUDA device is available"), distributed.joined("cuda"):
        pass
