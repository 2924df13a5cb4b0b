"""A search whose candidates inherit from a parent."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from optuna.trial import TrialState

import nars
from nars.errors import RunError, UsageError
from nars.networks.weights import save_weights
from nars.parents.space import space_of
from nars.runs.config import SearchConfig
from nars.runs.run import default_folder, open_run
from nars.searching import configure as configuring
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
    result = nars.search(data="digits", init=parent, budget=2, run=tmp_path / "run", reference_epochs=1)
    assert [trial.state for trial in result.study.trials] == [TrialState.COMPLETE] * 2
    config = open_run(tmp_path / "run").config
    assert (config.init, config.space.name) == (parent, "from_small")
    assert result.summary.init == parent
    assert f"init: {parent}" in (tmp_path / "run" / "config.yaml").read_text()
    assert len(nars.search(data="digits", init=parent, budget=2, run=tmp_path / "run").study.trials) == 2
    assert open_run(tmp_path / "run").config == config
    with pytest.raises(RunError, match="init was"):
        nars.search(data="digits", init="none", budget=2, run=tmp_path / "run")


def test_a_named_space_is_kept_if_it_can_inherit(parent: str, tmp_path: Path) -> None:
    mine = tmp_path / "mine.yaml"
    mine.write_text(space_of(SMALL).replace(name="mine").to_yaml())
    assert configure(nars.SearchRequest(space=mine, init=parent)).space.name == "mine"
    with pytest.raises(UsageError, match=r"space micro cannot inherit from .*; `nars spaces --from"):
        configure(nars.SearchRequest(space="micro", init=parent))


def test_a_space_of_detectors_that_cannot_inherit_is_refused(parent: str) -> None:
    given = nars.SearchRequest(task="detection", data="digit-scenes", space="micro", init=parent)
    with pytest.raises(UsageError, match=r"space micro cannot inherit from .*; leave out --space"):
        configure(given)


def test_few_images_are_trained_on_for_longer(
    parent: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    said: list[str] = []
    config = configure(nars.SearchRequest(init=parent), say=said.append)
    assert tuning_epochs(config) == 12
    assert epochs(config) == (4, 16, 4)
    assert "trainings have 2 times the usual epochs, because 1079 images are few" in said
    said.clear()
    named = configure(nars.SearchRequest(init=parent, reference_epochs=6), say=said.append)
    longer = "without --reference-epochs, trainings would have 2 times the usual epochs"
    assert f"1079 images are few: {longer}" in said
    assert (tuning_epochs(named), epochs(named)) == (6, (2, 8, 2))
    mine = tmp_path / "mine.yaml"
    mine.write_text(space_of(SMALL).replace(name="mine").to_yaml())
    assert epochs(configure(nars.SearchRequest(init=parent, space=mine))) == (2, 8, 2)
    assert configure(nars.SearchRequest(init=parent, reference_epochs=0)).reference is None


def test_a_search_of_an_older_version_keeps_its_epochs(
    parent: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with monkeypatch.context() as before:
        before.setattr(configuring, "stretch", lambda images: 1)
        old = configure(nars.SearchRequest(init=parent))
    assert tuning_epochs(old) == 6
    for folder in (default_folder(old), Path("named")):
        folder.mkdir(parents=True)
        (folder / "config.yaml").write_text(old.to_yaml())
        assert configure(nars.SearchRequest(init=parent), folder if folder.name == "named" else None) == old


def epochs(config: SearchConfig) -> tuple[int, int, int]:
    found: Any = config.space.distributions["recipe.epochs"]
    return found.low, found.high, found.step


def tuning_epochs(config: SearchConfig) -> int:
    assert config.reference is not None
    return config.reference.recipe.epochs
