"""From a user's words to a search, or to one line that says what is wrong with them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from stub_task import TINY, StubTask

from nars.errors import DataError, InfeasibleError, NarsError, SpecError, UsageError
from nars.searching import wrappers as proposals
from nars.searching.configure import candidate, configure, recipe, what_is_left
from nars.spec import Candidate, Recipe
from search_spaces import published, space


@pytest.fixture
def tiny(tmp_path: Path) -> str:
    (tmp_path / "tiny.yaml").write_text(TINY)
    return str(tmp_path / "tiny.yaml")


def test_defaults(stub: type[StubTask]) -> None:
    found = configure(space="micro", task="stub", data="here")
    assert found.space == space("micro").replace(num_classes=10)
    assert (found.task, found.data, found.data_fingerprint) == ("stub", "here", "stub:here")
    assert (found.objectives, found.limits, found.sampler, found.budget) == (("accuracy",), {}, "nars", "64")


def test_the_real_task_sets_classes_and_fingerprint(tiny: str) -> None:
    found = configure(space=tiny, data="digits")
    assert found.space.num_classes == 10
    assert found.data_fingerprint.startswith("classification:")


def test_everything_said_is_in_the_search(stub: type[StubTask], tiny: str) -> None:
    options = {"budget": "90s", "sampler": "gp", "pruner": "none", "early_stopping": False, "seed": 4}
    found = configure(
        space=tiny, task="stub", objectives="accuracy, params", limits={"macs": 5e4}, options=options
    )
    assert found.objectives == ("accuracy", "params")
    assert found.limits == {"macs": 5e4}
    assert {name: getattr(found, name) for name in options} == options


@pytest.mark.parametrize(
    ("words", "error", "message"),
    [
        ({"space": "mirco"}, UsageError, "did you mean 'micro'"),
        ({"space": "none.yaml"}, NarsError, "none.yaml"),
        (
            {"task": "clasification"},
            UsageError,
            "unknown task 'clasification': did you mean 'classification'",
        ),
        ({"task": "classification", "data": "nowhere/at/all"}, DataError, "nowhere/at/all"),
        ({"objectives": "macs"}, UsageError, "the first objective of stub is accuracy, got 'macs'"),
        ({"objectives": "accuracy,mac"}, UsageError, "no objective 'mac': did you mean 'macs'?"),
        ({"options": {"sampler": "tpee"}}, UsageError, "no sampler 'tpee': did you mean 'tpe'?"),
        ({"options": {"pruner": "medain"}}, UsageError, "no pruner 'medain': did you mean 'median'?"),
        (
            {"options": {"bugdet": "3"}},
            SpecError,
            "unknown key 'bugdet' of searchconfig: did you mean 'budget'?",
        ),
        (
            {"objectives": "accuracy,macs", "options": {"sampler": "cmaes"}},
            UsageError,
            "cmaes has one objective",
        ),
        (
            {"fix": ["recipes=best.yaml"]},
            UsageError,
            "--fix 'recipes=best.yaml': give recipe=FILE or arch=FILE",
        ),
        ({"fix": ["recipe"]}, UsageError, "--fix 'recipe': give recipe=FILE or arch=FILE"),
        ({"fix": ["recipe=gone.yaml"]}, SpecError, "cannot read gone.yaml"),
        ({"fix": ["arch=fbnetv3_z"]}, UsageError, "fbnetv3_"),
    ],
)
def test_mistakes_are_named(
    stub: type[StubTask], words: dict[str, Any], error: type[NarsError], message: str
) -> None:
    with pytest.raises(error) as caught:
        configure(**({"space": "micro", "task": "stub"} | words))
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_without_its_package_cmaes_says_what_to_install(
    stub: type[StubTask], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(proposals, "find_spec", lambda name: None)
    with pytest.raises(UsageError, match=r"sampler cmaes needs a package .*pip install 'nars\[cmaes\]'"):
        configure(space="micro", task="stub", options={"sampler": "cmaes"})


def test_parts_held_by_file_or_published_name(stub: type[StubTask], tmp_path: Path) -> None:
    (tmp_path / "recipe.yaml").write_text(Recipe(lr=0.2).to_yaml())
    whole = Candidate(architecture=published("fbnetv3_a"), recipe=Recipe(lr=0.3))
    (tmp_path / "whole.yaml").write_text(whole.to_yaml())
    for file, lr in (("recipe.yaml", 0.2), ("whole.yaml", 0.3)):
        found = configure(space="micro", task="stub", fix=[f"recipe={tmp_path / file}"]).space
        assert found.recipe_names == []
        assert found.fixed["recipe.lr"] == lr
    for name in ("fbnetv3_a", str(tmp_path / "whole.yaml")):
        found = configure(space="micro", task="stub", fix=[f"arch={name}"]).space
        assert found.architecture_names == []
        assert found.recipe_names == space("micro").recipe_names
    with pytest.raises(UsageError, match="nothing is left to search"):
        configure(space="micro", task="stub", fix=["arch=fbnetv3_a", f"recipe={tmp_path / 'recipe.yaml'}"])


def test_candidates_and_recipes_by_file(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text(published("fbnetv3_a").to_yaml())
    (tmp_path / "r.yaml").write_text(Recipe(lr=0.2).to_yaml())
    assert candidate(str(tmp_path / "a.yaml")) == candidate("fbnetv3_a")
    assert candidate("fbnetv3_a").recipe == Recipe()
    assert recipe(str(tmp_path / "r.yaml")) == Recipe(lr=0.2)
    with pytest.raises(UsageError, match=r"r\.yaml is a recipe: it has no architecture"):
        candidate(str(tmp_path / "r.yaml"))
    with pytest.raises(UsageError, match=r"a\.yaml is an architecture: it has no recipe"):
        recipe(str(tmp_path / "a.yaml"))


def test_what_is_left_leaves_out_what_must_be_measured(stub: type[StubTask], tiny: str) -> None:
    free = configure(space=tiny, task="stub", limits={"latency": 1e-9})
    assert what_is_left(free).share == 1
    tight = configure(space=tiny, task="stub", limits={"macs": 5e4, "latency": 1e-9})
    assert 0 < what_is_left(tight).share < 1
    with pytest.raises(InfeasibleError, match="no candidate meets macs <= 10: the smallest possible is macs"):
        what_is_left(configure(space=tiny, task="stub", limits={"macs": 10}))
