"""First candidates with prior knowledge are good, but with knowledge of architectures alone no twins."""

from __future__ import annotations

import numpy as np
import pytest

from nars.sampling.preferred import best, far_apart
from nars.space.feasible import Reservoir
from nars.space.genotypes import Matrix
from search_spaces.spaces import space

MICRO = space("micro")
RECIPE = MICRO.dimensions.recipe


@pytest.fixture(scope="module")
def even() -> Matrix:
    return Reservoir(MICRO, {}, 0).draw(12, np.random.default_rng(0))


@pytest.fixture(scope="module")
def ranked() -> Matrix:
    """A pool whose best are twins of one architecture and recipe, before 512 others."""
    pool = Reservoir(MICRO, {}, 1).draw(520, np.random.default_rng(1))
    pool[:8] = pool[0]
    return pool


def test_knowledge_of_candidates_is_followed_to_the_letter(even: Matrix, ranked: Matrix) -> None:
    mixed = best(MICRO, even, ranked, np.random.default_rng(0))
    np.testing.assert_array_equal(mixed[::2], ranked[:6])
    np.testing.assert_array_equal(mixed[1::2], even[1::2])


def test_knowledge_of_architectures_takes_good_ones_that_differ(even: Matrix, ranked: Matrix) -> None:
    mixed = far_apart(MICRO, even, ranked, np.random.default_rng(0))
    architectures = {row.tobytes() for row in mixed[::2][:, ~RECIPE]}
    good = {row.tobytes() for row in ranked[: len(ranked) // 16][:, ~RECIPE]}
    assert len(architectures) == 6
    assert architectures <= good
    assert mixed[0, ~RECIPE].tobytes() == ranked[0, ~RECIPE].tobytes()
    np.testing.assert_array_equal(mixed[1::2][:, ~RECIPE], even[1::2][:, ~RECIPE])


def test_its_recipes_are_spread_over_every_range(even: Matrix, ranked: Matrix) -> None:
    mixed = far_apart(MICRO, even, ranked, np.random.default_rng(0))
    names = list(MICRO.distributions)
    for name in ("recipe.lr", "recipe.weight_decay"):
        unit = MICRO.dimensions.to_unit(mixed)[:, names.index(name)]
        for half in (unit[:6], unit[6:]):
            assert sorted(np.floor(half * 6)) == [0, 1, 2, 3, 4, 5]


def test_one_candidate_is_enough(even: Matrix, ranked: Matrix) -> None:
    mixed = far_apart(MICRO, even[:1], ranked, np.random.default_rng(0))
    np.testing.assert_array_equal(mixed[0, ~RECIPE], ranked[0, ~RECIPE])


def test_the_same_seed_gives_the_same_candidates(even: Matrix, ranked: Matrix) -> None:
    twice = [far_apart(MICRO, even, ranked, np.random.default_rng(5)) for _ in range(2)]
    np.testing.assert_array_equal(*twice)
