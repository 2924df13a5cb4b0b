"""First candidates with prior knowledge are good ones."""

from __future__ import annotations

import numpy as np
import pytest

from nars.sampling.preferred import best
from nars.space.feasible import Reservoir
from nars.space.genotypes import Matrix
from search_spaces.spaces import space

MICRO = space("micro")


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
