"""Evolution finds a known optimum, within its constraint and its bounds."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray

from nars.errors import InfeasibleError
from nars.sampling.evolution import Evolution, evolve
from nars.space import genotypes
from nars.space.genotypes import Matrix
from nars.spec import Recipe
from search_spaces.spaces import space

MICRO = space("micro")
LIMIT = 3e6
NONE = np.zeros((0, len(MICRO.distributions)))
SEARCHED = genotypes.is_architecture_feature(MICRO)
BEST = MICRO.dimensions.features(genotypes.sample(MICRO, 1, np.random.default_rng(9)))


def macs(matrix: Matrix) -> NDArray[np.float64]:
    return MICRO.statistics(matrix)["macs"]


def closeness(matrix: Matrix) -> NDArray[np.float64]:
    """0 at one known genotype, less everywhere else [n, 1]."""
    return -np.abs(MICRO.dimensions.features(matrix) - BEST).sum(axis=1, keepdims=True).astype(np.float64)


def anything(matrix: Matrix) -> NDArray[np.bool_]:
    return np.ones(len(matrix), dtype=bool)


def small(matrix: Matrix) -> NDArray[np.bool_]:
    return macs(matrix) <= LIMIT


def run(
    score: Callable[[Matrix], NDArray[np.float64]] = closeness,
    feasible: Callable[[Matrix], NDArray[np.bool_]] = anything,
    start: Matrix = NONE,
    seed: int = 0,
    population: int = 64,
    max_evaluations: int = 10_000,
    patience: int = 10,
) -> Evolution:
    return evolve(
        MICRO,
        score,
        start=start,
        feasible=feasible,
        rng=np.random.default_rng(seed),
        population=population,
        max_evaluations=max_evaluations,
        patience=patience,
    )


def test_comes_close_to_the_optimum() -> None:
    found = run(patience=20)
    drawn = genotypes.sample(MICRO, 10_000, np.random.default_rng(1), quasi=False)
    # The best of as many random candidates is some 25 away from the optimum.
    assert found.population.scores[0] > closeness(drawn).max() / 5
    assert (np.diff(found.population.scores[:, 0]) <= 0).all()
    np.testing.assert_allclose(closeness(found.population.matrix), found.population.scores)
    assert len(np.unique(found.population.matrix, axis=0)) == len(found.population) == 64


def test_constraint_holds_for_all_that_is_scored() -> None:
    asked: list[Matrix] = []

    def score(matrix: Matrix) -> NDArray[np.float64]:
        asked.append(matrix)
        return macs(matrix)[:, None]  # pushes against the limit

    start = genotypes.sample(MICRO, 200, np.random.default_rng(3))
    assert not small(start).all()
    found = run(score, small, start=start)
    assert small(np.concatenate(asked)).all()
    assert LIMIT * 0.999 < found.population.scores[0, 0] <= LIMIT
    assert sum(map(len, asked)) == found.evaluations
    assert len(np.unique(np.concatenate(asked), axis=0)) == found.evaluations  # nothing twice
    np.testing.assert_array_equal(found.scored.matrix, np.concatenate(asked))


def test_same_generator_same_result() -> None:
    one, two = run(max_evaluations=1000), run(max_evaluations=1000)
    np.testing.assert_array_equal(one.population.matrix, two.population.matrix)
    assert (run(seed=1, max_evaluations=1000).population.matrix != one.population.matrix).any()


def test_stops_when_nothing_improves() -> None:
    found = run(lambda matrix: np.ones((len(matrix), 1)), patience=3)
    assert found.generations == 4
    assert found.evaluations == 4 * 64


@pytest.mark.parametrize("limit", [1, 50, 64, 100, 500])
def test_never_more_evaluations_than_allowed(limit: int) -> None:
    found = run(max_evaluations=limit, patience=1000)
    assert found.evaluations == limit
    assert 0 < len(found.population) <= 64


def test_starts_from_what_is_known() -> None:
    known = genotypes.sample(MICRO, 1, np.random.default_rng(9))
    assert run(start=known, max_evaluations=64).population.scores[0] == pytest.approx(0, abs=1e-6)


def test_front_of_two_objectives() -> None:
    found = run(lambda matrix: np.column_stack([closeness(matrix), -macs(matrix)]))
    scores = found.population.scores
    assert scores.shape == (64, 2)
    dominated = (scores[:, None] < scores[None]).all(axis=2).any(axis=1)
    first = int(np.argmax(dominated)) if dominated.any() else len(scores)
    assert not dominated[:first].any()
    assert first > 32  # most of the population is the front
    spread = macs(found.population.matrix[:first])
    # Crowding keeps the ends: from near the smallest network of the space to several times it.
    assert spread.max() > 3 * spread.min()


def test_no_feasible_candidate_is_an_error() -> None:
    with pytest.raises(InfeasibleError, match=r"none of .* random candidates is feasible"):
        run(feasible=lambda matrix: np.zeros(len(matrix), dtype=bool))


def test_few_feasible_candidates_are_enough() -> None:
    start = genotypes.sample(MICRO, 5, np.random.default_rng(0))
    rows = {row.tobytes() for row in start}
    found = run(
        start=start, feasible=lambda matrix: np.array([row.tobytes() in rows for row in matrix], bool)
    )
    assert len(found.population) == found.evaluations == 5


def test_scores_that_are_not_finite_are_dropped() -> None:
    found = run(
        lambda matrix: np.where(macs(matrix) > LIMIT, np.nan, macs(matrix))[:, None], max_evaluations=1000
    )
    assert np.isfinite(found.population.scores).all()
    assert small(found.population.matrix).all()


def test_space_of_one_candidate() -> None:
    genotype = genotypes.to_genotypes(MICRO, genotypes.sample(MICRO, 1, np.random.default_rng(0)))[0]
    single = MICRO.fix(architecture=MICRO.decode(genotype).architecture, recipe=Recipe())
    found = evolve(
        single,
        lambda matrix: np.zeros((len(matrix), 1)),
        start=np.zeros((0, 0)),
        feasible=anything,
        rng=np.random.default_rng(0),
    )
    assert found.population.matrix.shape == (1, 0)
