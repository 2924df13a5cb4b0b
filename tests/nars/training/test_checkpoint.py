"""Checkpoints that a training continues from: what is damaged is one line with the remedy."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from nars.errors import RunError
from nars.tensors import write_tensors
from nars.training.checkpoint import restore
from nars.training.progress import Progress

ENTRY = {"epoch": 1, "epochs": 2, "score": 0.5, "loss": 1.0, "seconds": 2.0, "numbers": {"val_auroc": 0.5}}


def content(model: nn.Module) -> dict[str, Any]:
    return {
        "identity": {"seed": 0},
        "parts": {"model": model.state_dict()},
        "generator": torch.Generator().get_state(),
        "cpu": torch.get_rng_state(),
        "cuda": None,
        "curve": [dict(ENTRY)],
    }


def read(path: Path, model: nn.Module) -> list[Progress]:
    before = torch.get_rng_state()
    try:
        return restore(
            path, {"seed": 0}, {"model": model}, torch.Generator(), torch.device("cpu"), Progress.read
        )
    finally:
        torch.set_rng_state(before)


def test_a_whole_one_is_read(tmp_path: Path) -> None:
    model = nn.Linear(2, 2)
    write_tensors(tmp_path / "last.pt", content(model))
    (entry,) = read(tmp_path / "last.pt", model)
    assert (entry.score, entry.numbers) == (0.5, {"val_auroc": 0.5})
    assert read(tmp_path / "none.pt", model) == []


@pytest.mark.parametrize(
    "changes",
    [
        {"curve": None},
        {"curve": [1]},
        {"curve": [ENTRY | {"score": "x"}]},
        {"curve": [ENTRY | {"score": {"a": 1}}]},
        {"curve": [ENTRY | {"numbers": 1}]},
        {"curve": [ENTRY | {"numbers": None}]},
        {"curve": [ENTRY | {"epoch": 10**400}]},
        {"curve": [ENTRY | {"numbers": {"a": [1]}}]},
        {"curve": [ENTRY | {"unknown": 1}]},
        {"identity": 1},
        {"parts": None},
        {"parts": {"model": {"weight": torch.ones(3)}}},
        {"generator": torch.ones(3)},
        {"cpu": "x"},
    ],
)
def test_a_damaged_one_is_one_line_that_names_it(tmp_path: Path, changes: dict[str, Any]) -> None:
    model = nn.Linear(2, 2)
    write_tensors(tmp_path / "last.pt", content(model) | changes)
    with pytest.raises(RunError, match=r"last\.pt is .*; delete it to start anew") as raised:
        read(tmp_path / "last.pt", model)
    assert "\n" not in str(raised.value)


def test_what_differs_is_shown_in_short(tmp_path: Path) -> None:
    model = nn.Linear(2, 2)
    write_tensors(tmp_path / "last.pt", content(model) | {"identity": {"seed": "x" * 10**5}})
    with pytest.raises(RunError, match="seed was 'x") as raised:
        read(tmp_path / "last.pt", model)
    assert len(str(raised.value)) < 1000
