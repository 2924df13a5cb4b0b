"""`NarsSampler` without one of its parts each: what does the part bring?"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from experiments.search_benchmark.problem import Array
from nars.sampling.acquisition import Acquisition
from nars.sampling.evolution import best_first
from nars.sampling.sampler import EVALUATIONS, NarsSampler
from nars.space.genotypes import Matrix

__all__ = ["Alone", "Greedy", "OfScores", "Pool", "RandomStart", "Twelve"]

FRONT = 128
"""Candidates kept for a front: as many as the evolution's population."""


class _Mean(Acquisition):
    def __call__(self, matrix: Matrix) -> Array:
        mean = self._predicted(matrix)[0]
        return self._scores(mean) if len(self.objectives) > 1 else mean[:, 0]

    def _believing(self, matrix: Matrix, worth: Array, pending: Matrix, count: int) -> NDArray[np.int64]:
        return np.argsort(-worth, kind="stable")[:count]


class _EachAlone(Acquisition):
    def _believing(self, matrix: Matrix, worth: Array, pending: Matrix, count: int) -> NDArray[np.int64]:
        return np.argsort(-worth, kind="stable")[:count]


class _OfScores(Acquisition):
    def _predicted(self, matrix: Matrix) -> tuple[Array, Array]:
        means, stds = super()._predicted(matrix)
        for name, scale in self.scales.items():
            at = self.objectives.index(name)
            z, sign = self.signs[at] * means[:, at], self.signs[at]
            means[:, at], stds[:, at] = sign * scale.inverse(z), scale.inverse_std(z, stds[:, at])
        return means, stds

    def _scores(self, values: Array) -> Array:
        return values


class Greedy(NarsSampler):
    """The best predictions, whatever is uncertain."""

    acquisition = _Mean


class Alone(NarsSampler):
    """The best expected improvements, each for itself, whatever else a round or a worker trains."""

    acquisition = _EachAlone


class OfScores(NarsSampler):
    """Expected improvement of the scores, where failed trainings stretch what is uncertain."""

    acquisition = _OfScores


class Pool(NarsSampler):
    """The best of as many random candidates, in place of the evolution."""

    def _candidates(
        self, worth: Acquisition, measured: Matrix, rng: np.random.Generator
    ) -> tuple[Matrix, Array]:
        matrix = self._reservoir.draw(EVALUATIONS, rng)
        promise = worth(matrix)
        if promise.ndim > 1:
            matrix = best_first(matrix, promise, FRONT)
            promise = worth(matrix)
        return matrix, promise


class RandomStart(NarsSampler):
    """A first batch at random, in place of an even one."""

    def _first_candidates(self) -> Matrix:
        return self._reservoir.draw(2 * self.first_batch, np.random.default_rng(self.seed))


class Twelve(NarsSampler):
    """A first batch of twelve, in place of six."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, first_batch=12, **options)
