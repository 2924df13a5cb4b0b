"""The dimensions of a domain as arrays: one entry for each dimension, or for each feature.

A generation of an evolution is a hundred genotypes; going through its dimensions one by one takes
longer than the arithmetic. A domain makes its `Dimensions` once and keeps them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution

__all__ = ["STEPS", "Dimensions", "is_recipe"]

STEPS = 16
"""Most values of an integer range that get a feature each."""

_CHUNK = 4096
"""Rows encoded at a time: what is compared stays in the processor's cache."""
Floats = NDArray[np.float64]


def is_recipe(name: str) -> bool:
    """Whether the dimension of this flat name trains a network rather than shapes it."""
    return name.startswith("recipe.")


@dataclass(frozen=True, eq=False)
class Dimensions:
    """The dimensions of a domain [d], and the features that a predictor sees of them [f].

    A dimension is *counted* if its values are steps from the lowest: choices (by index), integers,
    numbers with a step. It is *logarithmic*, or neither.
    """

    low: Floats
    high: Floats
    step: Floats
    """Between counted values; else 1."""
    count: Floats
    """How many values there are; 0 if they are not counted."""
    choice: NDArray[np.bool_]
    logarithmic: NDArray[np.bool_]
    whole: NDArray[np.bool_]
    """Whether values are integers."""
    recipe: NDArray[np.bool_]
    """Whether the dimension is of the recipe, not of the architecture."""
    source: NDArray[np.int64]
    """The dimension [f] that a feature describes."""
    compared: Floats
    """The value [f] that a feature compares it with; NaN if the feature is the scaled number itself."""

    @classmethod
    def of(cls, distributions: Mapping[str, BaseDistribution]) -> Dimensions:
        """The arrays of named distributions."""
        dists = list(distributions.values())
        low, high = np.array([_ends(dist) for dist in dists], dtype=np.float64).reshape(-1, 2).T
        steps = np.array([_step(dist) for dist in dists], dtype=np.float64)
        compared = [_compared(dist) for dist in dists]
        step = np.where(steps > 0, steps, 1.0)
        return cls(
            low=low,
            high=high,
            step=step,
            count=np.where(steps > 0, np.round((high - low) / step) + 1, 0.0),
            choice=np.array([isinstance(dist, CategoricalDistribution) for dist in dists], dtype=bool),
            logarithmic=np.array([getattr(dist, "log", False) for dist in dists], dtype=bool),
            whole=np.array([not isinstance(dist, FloatDistribution) for dist in dists], dtype=bool),
            recipe=np.array([is_recipe(name) for name in distributions], dtype=bool),
            source=np.repeat(np.arange(len(compared)), np.array([*map(len, compared)], dtype=np.int64)),
            compared=np.array([value for values in compared for value in values], dtype=np.float64),
        )

    def from_unit(self, unit: Floats) -> Floats:
        """Genotypes [n, d] of points in the unit cube."""
        steps = np.minimum(np.floor(unit * self.count), self.count - 1)
        counted = np.minimum(self.low + self.step * steps, self.high)  # 3 * .1 is above .3
        values = np.where(self.count > 0, counted, self.low + unit * (self.high - self.low))
        log, low, high = self.logarithmic, self.low, self.high
        if log.any():
            start, end = np.log(low[log]), np.log(high[log])
            grown = np.exp(start + unit[:, log] * (end - start))
            values[:, log] = np.where(self.whole[log], np.round(grown), grown).clip(low[log], high[log])
        return np.asarray(values)

    def to_unit(self, matrix: Floats) -> Floats:
        """Points in the unit cube that `from_unit` maps back to genotypes [n, d]."""
        counted = ((matrix - self.low) / self.step + 0.5) / np.maximum(self.count, 1)
        return np.where(self.count > 0, counted, self._scaled(matrix))

    def features(self, matrix: Floats) -> NDArray[np.float32]:
        """Inputs for a predictor [n, f] in 0..1: choices one-hot, numbers scaled (log if they are).

        An integer range of at most `STEPS` values has one more column for every value above its
        lowest, 1 from there on: one more block need not bring the same at every step.
        """
        features = np.empty((len(matrix), len(self.source)), dtype=np.float32)
        numbers = np.isnan(self.compared)
        for start in range(0, len(matrix), _CHUNK):
            rows = slice(start, start + _CHUNK)
            values = matrix[rows, self.source]
            features[rows] = np.where(
                self.choice[self.source], values == self.compared, values >= self.compared
            )
            features[rows, numbers] = self._scaled(matrix[rows])[:, self.source[numbers]]
        return features

    def _scaled(self, matrix: Floats) -> Floats:
        """Numbers between their ends in 0..1, by their logarithms if they are logarithmic."""
        scaled = (matrix - self.low) / np.where(self.high > self.low, self.high - self.low, 1.0)
        log = self.logarithmic
        if log.any():
            start, end = np.log(self.low[log]), np.log(self.high[log])
            scaled[:, log] = (np.log(matrix[:, log]) - start) / np.where(end > start, end - start, 1.0)
        return np.asarray(scaled)


def _ends(dist: BaseDistribution) -> tuple[float, float]:
    if isinstance(dist, CategoricalDistribution):
        return 0.0, len(dist.choices) - 1.0
    assert isinstance(dist, IntDistribution | FloatDistribution)
    return float(dist.low), float(dist.high)


def _step(dist: BaseDistribution) -> float:
    """Step between values; 0 if they are not counted."""
    if isinstance(dist, CategoricalDistribution):
        return 1.0
    assert isinstance(dist, IntDistribution | FloatDistribution)
    return 0.0 if dist.log or dist.step is None else float(dist.step)


def _compared(dist: BaseDistribution) -> list[float]:
    """Every choice; or the number itself, and every value above the lowest of a short integer range."""
    if isinstance(dist, CategoricalDistribution):
        return [float(index) for index in range(len(dist.choices))]
    if not isinstance(dist, IntDistribution) or dist.log:
        return [np.nan]
    if not 2 < (dist.high - dist.low) // dist.step + 1 <= STEPS:
        return [np.nan]
    return [np.nan, *map(float, range(dist.low + dist.step, dist.high + 1, dist.step))]
