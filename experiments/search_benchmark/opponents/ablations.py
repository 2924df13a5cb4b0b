"""Strategies of `NarsSampler` that lack one part each: what does the part contribute?"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from experiments.search_benchmark.problem import Array
from nars.predictors import Fitted
from nars.predictors.scores import LabelScale
from nars.sampling.acquisition import Acquisition, ExpectedImprovement, Front, make_acquisition
from nars.sampling.evolution import Evolution, Population
from nars.sampling.predictions import Predictions
from nars.sampling.strategy import EVALUATIONS, Strategy
from nars.space.feasible import Reservoir
from nars.space.genotypes import Matrix

__all__ = ["ALONE", "GREEDY", "OF_SCORES", "POOL", "RANDOM_START"]

_FRONT = 128
"""Candidates kept for a front: as many as the evolution's population."""


@dataclass(frozen=True)
class _EachAlone:
    """Chooses the largest scores of one objective, each candidate for itself."""

    measured: Array
    score: Callable[[Matrix], Array]

    def __call__(self, matrix: Matrix) -> Array:
        return self.score(matrix)

    def contenders(self, evolution: Evolution) -> Population:
        return evolution.scored

    def choose(self, contenders: Population, pending: Matrix, count: int) -> Matrix:
        return contenders.best(count).matrix


@dataclass(frozen=True)
class _OnScores:
    """A predictor of scaled scores that predicts the scores themselves."""

    predictor: Fitted
    scale: LabelScale

    def predict(self, X: Matrix, return_std: bool = False, return_cov: bool = False) -> Any:  # noqa: N803 - scikit-learn's name
        if return_cov:  # only how candidates vary together is asked of it
            return self.predictor.predict(X, return_cov=True)
        if not return_std:
            return self.scale.inverse(self.predictor.predict(X))
        z, std = self.predictor.predict(X, return_std=True)
        return self.scale.inverse(z), self.scale.inverse_std(z, std)


def _greedy(predictions: Predictions, measured: Matrix) -> Acquisition:
    if len(predictions.signs) > 1:
        return Front(predictions, measured, optimism=0.0)
    return _EachAlone(predictions(measured)[0], lambda matrix: predictions(matrix)[0])


def _alone(predictions: Predictions, measured: Matrix) -> Acquisition:
    if len(predictions.signs) > 1:
        return Front(predictions, measured)
    improvement = ExpectedImprovement(predictions, measured)
    return _EachAlone(improvement.measured, improvement)


def _of_scores(predictions: Predictions, measured: Matrix) -> Acquisition:
    predictors = {
        name: _OnScores(predictor, predictions.scales[name])
        for name, predictor in predictions.predictors.items()
    }
    return make_acquisition(replace(predictions, predictors=predictors, scales={}), measured)


def _pool(
    acquisition: Acquisition, measured: Matrix, reservoir: Reservoir, rng: np.random.Generator
) -> Evolution:
    matrix = reservoir.draw(EVALUATIONS, rng)
    drawn = Population(matrix, acquisition(matrix))
    return Evolution(drawn.best(_FRONT), drawn, generations=1, evaluations=len(drawn))


def _random_start(reservoir: Reservoir, count: int, rng: np.random.Generator) -> Matrix:
    return reservoir.draw(count, rng)


GREEDY = Strategy(acquisition=_greedy)
"""Trains the best predictions, whatever their uncertainty."""

ALONE = Strategy(acquisition=_alone)
"""Trains the best expected improvements, each for itself, whatever else a round or a worker trains."""

OF_SCORES = Strategy(acquisition=_of_scores)
"""Improves scores that are not scaled, although failed trainings stretch their uncertainty."""

POOL = Strategy(search=_pool)
"""Takes the best of as many random candidates in place of the evolution."""

RANDOM_START = Strategy(start=_random_start)
"""Draws the first batch at random in place of an even one."""
