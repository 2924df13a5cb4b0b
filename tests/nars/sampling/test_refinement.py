"""Refinement climbs to the top of a smooth score, keeps limits, and moves continuous parameters alone."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution

from nars.sampling.evolution import Evolution, Population
from nars.sampling.parameters.costs import KnownCosts
from nars.sampling.parameters.domain import Parameters
from nars.sampling.refinement import evolve_and_refine
from nars.sampling.strategy import FindCandidates, evolve_from_best
from nars.space.feasible import Limits, Reservoir
from nars.space.genotypes import Matrix, sample

Floats = NDArray[np.float64]

SQUARE: dict[str, BaseDistribution] = {"x": FloatDistribution(0, 1), "y": FloatDistribution(0, 1)}
MIXED: dict[str, BaseDistribution] = {
    "rate": FloatDistribution(1e-4, 1, log=True),
    "step": FloatDistribution(0, 1, step=0.25),
    "layers": IntDistribution(1, 4),
    "kind": CategoricalDistribution(["a", "b"]),
}
WHOLE: dict[str, BaseDistribution] = {"layers": IntDistribution(1, 40), "width": IntDistribution(1, 40)}


class Scores:
    """An acquisition that is a formula, and remembers what it was asked."""

    def __init__(self, formula: Any, columns: int = 1) -> None:
        self.formula, self.columns = formula, columns
        self.measured: Floats = np.zeros((0, columns))
        self.asked: list[Matrix] = []

    def __call__(self, matrix: Matrix) -> Floats:
        self.asked.append(matrix)
        return np.repeat(np.asarray(self.formula(matrix), dtype=np.float64)[:, None], self.columns, axis=1)

    def contenders(self, evolution: Evolution) -> Population:
        return evolution.scored

    def choose(self, contenders: Population, pending: Matrix, count: int) -> Matrix:
        return contenders.matrix[:count]


def peak(matrix: Matrix) -> Floats:
    """0 at (0.3, 0.123456), less everywhere else."""
    return -((matrix[:, 0] - 0.3) ** 2) - (matrix[:, 1] - 0.123456) ** 2


def found(
    scores: Scores,
    distributions: Mapping[str, BaseDistribution] = SQUARE,
    search: FindCandidates = evolve_and_refine,
    limits: Limits | None = None,
    seed: int = 0,
) -> Evolution:
    costs = KnownCosts(lambda p: {"sum": p["x"] + p["y"]}) if limits else None
    domain = Parameters(distributions, costs=costs)
    reservoir = Reservoir(domain, limits or {}, seed)
    scores.measured = np.zeros((0, scores.columns))
    return search(scores, sample(domain, 0, np.random.default_rng(0)), reservoir, np.random.default_rng(seed))


@pytest.mark.parametrize("seed", range(3))
def test_the_top_of_a_smooth_score_is_found_to_three_digits(seed: int) -> None:
    coarse = found(Scores(peak), search=evolve_from_best, seed=seed).scored.scores.max()
    fine = found(Scores(peak), seed=seed).scored.scores.max()
    assert -fine < 1e-6 < -coarse


def test_every_score_is_that_of_its_candidate_and_every_candidate_is_there_once() -> None:
    evolution = found(Scores(peak))
    matrix, scores = evolution.scored.matrix, evolution.scored.scores
    np.testing.assert_array_equal(scores[:, 0], peak(matrix))
    assert len(np.unique(matrix, axis=0)) == len(matrix)
    assert ((matrix >= 0) & (matrix <= 1)).all()


def test_nothing_beyond_a_limit_is_scored() -> None:
    scores = Scores(lambda matrix: matrix.sum(axis=1))  # pushes against the limit
    evolution = found(scores, limits={"sum": 0.5})
    assert max(asked.sum(axis=1).max(initial=0) for asked in scores.asked) <= 0.5
    assert evolution.scored.scores.max() > 0.4999
    assert np.isfinite(evolution.scored.scores).all()


def test_steps_and_choices_stay_on_their_grids() -> None:
    def score(matrix: Matrix) -> Floats:
        """The kinds differ little, so both are among the best."""
        return -((np.log10(matrix[:, 0]) + 2) ** 2) - (matrix[:, 1] - 0.5) ** 2 + 1e-9 * matrix[:, 3]

    evolution = found(Scores(score), MIXED)
    matrix, best = evolution.scored.matrix, evolution.scored.best(1).matrix[0]
    assert best[0] == pytest.approx(1e-2, rel=1e-2)
    assert best[1] == 0.5
    assert set(matrix[:, 1].tolist()) <= {0, 0.25, 0.5, 0.75, 1}
    assert set(matrix[:, 2].tolist()) <= {1, 2, 3, 4}
    assert set(matrix[:, 3].tolist()) <= {0, 1}


@pytest.mark.parametrize(
    ("scores", "distributions"),
    [(Scores(lambda m: -np.abs(m - 7).sum(axis=1)), WHOLE), (Scores(peak, columns=2), SQUARE)],
    ids=["nothing continuous", "two objectives"],
)
def test_where_there_is_nothing_to_refine_the_evolution_is_left_as_it_is(
    scores: Scores, distributions: Mapping[str, BaseDistribution]
) -> None:
    refined, plain = found(scores, distributions), found(scores, distributions, evolve_from_best)
    np.testing.assert_array_equal(refined.scored.matrix, plain.scored.matrix)
    assert refined.evaluations == plain.evaluations


def test_a_seed_decides_every_step() -> None:
    first, again, other = (found(Scores(peak), seed=seed).scored.matrix for seed in (1, 1, 2))
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first[:100], other[:100])
