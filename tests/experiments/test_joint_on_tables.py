"""Searches of a part, while the rest is held."""

from __future__ import annotations

import numpy as np
import pytest

from experiments.joint_on_tables import by_hand, find, search_part
from experiments.joint_table import table_space
from experiments.search_benchmark.problem import Array, Problem, Task
from nars.space.genotypes import Matrix, from_genotypes, to_genotypes

LIMIT = 2e6
SPACE = table_space()


def score(matrix: Matrix) -> Array:
    """Wide stems at high rates are best."""
    names = list(SPACE.distributions)
    return matrix[:, names.index("stem.channels")] + np.log(matrix[:, names.index("recipe.lr")])


TASK = Task("made", Problem(SPACE, {"macs": LIMIT}), score, lambda matrix, rng: (score(matrix),) * 2, "made")


def test_the_network_by_hand_is_even_and_close_below_the_limit() -> None:
    genotype = by_hand(SPACE, LIMIT)
    macs = SPACE.statistics(from_genotypes(SPACE, [genotype]))["macs"][0]
    assert 0.9 * LIMIT < macs <= LIMIT
    assert SPACE.decode(genotype).recipe.epochs == 8
    assert {genotype[f"stage{stage}.depth"] for stage in range(1, 7)} == {2}


@pytest.mark.parametrize(("held", "kept"), [("recipe", "recipe."), ("architecture", "st")])
def test_the_part_that_is_held_stays(held: str, kept: str) -> None:
    genotype = by_hand(SPACE, LIMIT)
    found = search_part(TASK, held, SPACE.decode(genotype), budget=7, seed=0)
    trained = to_genotypes(SPACE, found.matrix)
    held_names = [name for name in genotype if name.startswith(kept)]
    assert all({row[name] for row in trained} == {genotype[name]} for name in held_names)
    assert len({tuple(row.values()) for row in trained}) == 7
    np.testing.assert_array_equal(found.true, score(found.matrix))


def test_in_turn_the_recipe_is_searched_for_the_best_architecture_of_the_first_half(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("experiments.joint_on_tables.BUDGET", 16)
    found = find(TASK, "in turn", seed=0)
    best = int(found.observed[:8, 0].argmax())
    architecture = [not name.startswith("recipe.") for name in SPACE.distributions]
    assert len(found.true) == 16
    assert (found.matrix[8:, architecture] == found.matrix[best, architecture]).all()
    assert list(found.incumbents)[-1][1] > found.true[:8].max()
