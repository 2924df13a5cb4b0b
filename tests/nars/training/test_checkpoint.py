"""Checkpoints that a training continues from: what is damaged is one line with the remedy."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

import pytest
import torch
from torch import nn

from nars.errors import RunError
from nars.spec import Recipe
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


def read(
    path: Path, model: nn.Module, identity: Mapping[str, Any] = MappingProxyType({"seed": 0})
) -> list[Progress]:
    before, parts, earlier = torch.get_rng_state(), {"model": model}, {"data": ["digits:0"]}
    try:
        return restore(path, identity, parts, torch.Generator(), torch.device("cpu"), Progress.read, earlier)
    finally:
        torch.set_rng_state(before)


def test_a_whole_one_is_read(tmp_path: Path) -> None:
    model = nn.Linear(2, 2)
    write_tensors(tmp_path / "last.pt", content(model))
    (entry,) = read(tmp_path / "last.pt", model)
    assert (entry.score, entry.numbers) == (0.5, {"val_auroc": 0.5})
    assert read(tmp_path / "none.pt", model) == []


def test_a_scaler_of_losses_starts_anew_where_there_was_none(tmp_path: Path) -> None:
    """A CPU, and a GPU with bfloat16, scale none; the file was called that of another network."""
    model, scaler = nn.Linear(2, 2), torch.amp.GradScaler("cpu", enabled=True)
    held = content(model)
    held["parts"]["scaler"] = torch.amp.GradScaler("cpu", enabled=False).state_dict()
    write_tensors(tmp_path / "last.pt", held)
    parts, before = {"model": model, "scaler": scaler}, torch.get_rng_state()
    try:
        restore(
            tmp_path / "last.pt",
            {"seed": 0},
            parts,
            torch.Generator(),
            torch.device("cpu"),
            Progress.read,
            {},
        )
    finally:
        torch.set_rng_state(before)
    assert scaler.get_scale() == torch.amp.GradScaler("cpu", enabled=True).get_scale()


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


RECIPE = Recipe(lr=0.05)
IDENTITY = {"recipe": RECIPE.to_yaml(), "data": "digits:1", "seed": 0, "metric": None}


@pytest.mark.parametrize(
    "saved",
    [
        IDENTITY,
        {key: IDENTITY[key] for key in ("recipe", "data", "seed")},  # of a version without metrics
        IDENTITY | {"data": "digits:0"},
    ],
)
def test_the_same_training_goes_on(saved: dict[str, Any], tmp_path: Path) -> None:
    model = nn.Linear(2, 2)
    write_tensors(tmp_path / "last.pt", content(model) | {"identity": saved})
    assert len(read(tmp_path / "last.pt", model, IDENTITY)) == 1


@pytest.mark.parametrize(
    ("saved", "said"),
    [
        (IDENTITY | {"data": "letters"}, "data was 'letters', is 'digits:1'"),
        (IDENTITY | {"recipe": RECIPE.replace(lr=0.2).to_yaml()}, "lr was 0.2, is 0.05"),
        (
            IDENTITY | {"recipe": Recipe().to_yaml(), "seed": 1},
            "lr was the default, is 0.05; seed was 1, is 0",
        ),
        (
            IDENTITY | {"recipe": RECIPE.replace(epochs=3, batch_size=7, mixup=0.1, dropout=0.1).to_yaml()},
            "epochs was 3, is the default; batch_size was 7, is the default; "
            "mixup was 0.1, is the default, and 1 more",
        ),
        ({"training": "kind: detector-training\nschema: 1\n"}, "it trained another kind of network"),
        (IDENTITY | {"recipe": "- [\n"}, "it trained another kind of network"),
    ],
)
def test_another_training_is_told_field_by_field(saved: dict[str, Any], said: str, tmp_path: Path) -> None:
    model = nn.Linear(2, 2)
    write_tensors(tmp_path / "last.pt", content(model) | {"identity": saved, "curve": [{"ap": 0.5}]})
    with pytest.raises(RunError) as raised:
        read(tmp_path / "last.pt", model, IDENTITY)
    remedy = "name another folder, or delete it to start anew"
    assert str(raised.value) == f"{tmp_path / 'last.pt'} is of another training: {said}; {remedy}"
