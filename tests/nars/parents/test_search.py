"""A search whose candidates inherit from a parent."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from optuna.trial import TrialState

import nars
from nars.errors import RunError, UsageError
from nars.networks.weights import save_weights
from nars.parents.space import space_of
from nars.runs.run import open_run
from nars.searching.configure import configure
from nars.spec import Architecture, Block, Candidate

SMALL = Architecture(
    name="small",
    resolution=32,
    stages=[
        [Block(op="conv", kernel=3, channels=16, stride=2)],
        [Block(op="mbconv", kernel=3, channels=16, expansion=4, stride=2, repeats=2)],
    ],
)


@pytest.fixture
def parent(tmp_path: Path) -> str:
    file = str(tmp_path / "parent.pt")
    mean, std = torch.full((3,), 0.5), torch.full((3,), 0.25)
    classes = [str(digit) for digit in range(10)]
    save_weights(
        file, nars.build(SMALL, 10), Candidate(architecture=SMALL), {}, classes=classes, mean=mean, std=std
    )
    return file


def test_candidates_inherit_in_the_space_of_the_parent(parent: str, tmp_path: Path) -> None:
    result = nars.search(data="digits", init=parent, budget=2, run=tmp_path / "run")
    assert [trial.state for trial in result.study.trials] == [TrialState.COMPLETE] * 2
    config = open_run(tmp_path / "run").config
    assert (config.init, config.space.name) == (parent, "from_small")
    assert result.summary.init == parent
    assert f"init: {parent}" in (tmp_path / "run" / "config.yaml").read_text()
    assert len(nars.search(data="digits", init=parent, budget=2, run=tmp_path / "run").study.trials) == 2
    with pytest.raises(RunError, match="init was"):
        nars.search(data="digits", init="none", budget=2, run=tmp_path / "run")


def test_a_named_space_is_kept_if_it_can_inherit(parent: str, tmp_path: Path) -> None:
    mine = tmp_path / "mine.yaml"
    mine.write_text(space_of(SMALL).replace(name="mine").to_yaml())
    assert configure(nars.SearchRequest(space=mine, init=parent)).space.name == "mine"
    with pytest.raises(UsageError, match=r"space micro cannot inherit from .*; `nars spaces --from"):
        configure(nars.SearchRequest(space="micro", init=parent))


def test_detectors_inherit_nothing_yet(parent: str) -> None:
    with pytest.raises(UsageError, match="candidates of the task detection cannot inherit from"):
        nars.search(task="detection", data="digit-scenes", init=parent, budget=1)
