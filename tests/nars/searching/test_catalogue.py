"""Spaces, candidates and recipes by name or file."""

from __future__ import annotations

from pathlib import Path

import pytest

from nars.errors import UsageError
from nars.searching.catalogue import candidate, fixed, recipe, space
from nars.spec import Recipe
from search_spaces import published


def test_candidates_and_recipes_by_file(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text(published("fbnetv3_a").to_yaml())
    (tmp_path / "r.yaml").write_text(Recipe(lr=0.2).to_yaml())
    assert candidate(str(tmp_path / "a.yaml")) == candidate("fbnetv3_a")
    assert candidate("fbnetv3_a").recipe == Recipe()
    (tmp_path / "B.YML").write_text(published("fbnetv3_a").to_yaml())
    assert candidate(str(tmp_path / "B.YML")) == candidate("fbnetv3_a")
    assert recipe(str(tmp_path / "r.yaml")) == Recipe(lr=0.2)
    with pytest.raises(UsageError, match=r"r\.yaml is a recipe: it has no architecture"):
        candidate(str(tmp_path / "r.yaml"))
    with pytest.raises(UsageError, match=r"a\.yaml is an architecture: it has no recipe"):
        recipe(str(tmp_path / "a.yaml"))


def test_a_part_to_fix_is_a_recipe_or_an_architecture() -> None:
    micro = space("micro")
    assert fixed(micro, []) == micro
    with pytest.raises(UsageError, match=r"--fix 'recipes=best\.yaml': give recipe=FILE or arch=FILE"):
        fixed(micro, ["recipes=best.yaml"])
