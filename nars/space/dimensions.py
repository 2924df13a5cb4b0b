"""What the distributions of a domain say, as arrays: one entry for each dimension, or for each feature.

A generation of an evolution is a hundred genotypes; going through its dimensions one by one takes
longer than the arithmetic. What the operations mean says `nars.space.genotypes`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution

__all__ = ["STEPS", "Columns", "columns"]

STEPS = 16
"""Most values of an integer range that get a feature each."""
CHUNK = 4096
"""Rows encoded at a time: what is compared stays in the processor's cache."""
KEPT = 64
"""Domains whose columns are kept."""

Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Columns:
    """Arrays [d] of dimensions, and [f] of features.

    A dimension is *counted* where its values are so many steps from the lowest: choices (their
    indices), integers, numbers with a step. It is *logarithmic*, or neither.
    """

    low: Floats
    high: Floats
    step: Floats
    """Of what is counted; else 1."""
    count: Floats
    """Of its values; 0 where it is not counted."""
    choice: NDArray[np.bool_]
    logarithmic: NDArray[np.bool_]
    whole: NDArray[np.bool_]
    """Whether its values are integers."""
    source: NDArray[np.int64]
    """The dimension that a feature is of [f]."""
    compared: Floats
    """What a feature compares it with [f]; NaN where it is the scaled number itself."""

    @classmethod
    def of(cls, distributions: Sequence[BaseDistribution]) -> Columns:
        low, high = np.array([_ends(dist) for dist in distributions], dtype=np.float64).reshape(-1, 2).T
        steps = np.array([_step(dist) for dist in distributions], dtype=np.float64)
        kinds = [(type(dist), getattr(dist, "log", False)) for dist in distributions]
        compared = [_compared(dist) for dist in distributions]
        step = np.where(steps > 0, steps, 1.0)
        return cls(
            low=low,
            high=high,
            step=step,
            count=np.where(steps > 0, np.round((high - low) / step) + 1, 0.0),
            choice=np.array([kind is CategoricalDistribution for kind, _ in kinds], dtype=bool),
            logarithmic=np.array([log for _, log in kinds], dtype=bool),
            whole=np.array([kind is not FloatDistribution for kind, _ in kinds], dtype=bool),
            source=np.repeat(np.arange(len(compared)), np.array([*map(len, compared)], dtype=np.int64)),
            compared=np.array([value for values in compared for value in values], dtype=np.float64),
        )

    def from_unit(self, unit: Floats) -> Floats:
        counted = self.low + self.step * np.minimum(np.floor(unit * self.count), self.count - 1)
        values = np.where(self.count > 0, counted, self.low + unit * (self.high - self.low))
        log, low, high = self.logarithmic, self.low, self.high
        if log.any():
            start, end = np.log(low[log]), np.log(high[log])
            grown = np.exp(start + unit[:, log] * (end - start))
            values[:, log] = np.where(self.whole[log], np.round(grown), grown).clip(low[log], high[log])
        return np.asarray(values)

    def to_unit(self, matrix: Floats) -> Floats:
        counted = ((matrix - self.low) / self.step + 0.5) / np.maximum(self.count, 1)
        return np.where(self.count > 0, counted, self._scaled(matrix))

    def features(self, matrix: Floats) -> NDArray[np.float32]:
        found = np.empty((len(matrix), len(self.source)), dtype=np.float32)
        numbers = np.isnan(self.compared)
        for at in range(0, len(matrix), CHUNK):
            part = slice(at, at + CHUNK)
            given = matrix[part, self.source]
            found[part] = np.where(self.choice[self.source], given == self.compared, given >= self.compared)
            found[part, numbers] = self._scaled(matrix[part])[:, self.source[numbers]]
        return found

    def _scaled(self, matrix: Floats) -> Floats:
        """Numbers between their ends in 0..1 (logarithms where they are logarithmic)."""
        scaled = (matrix - self.low) / np.where(self.high > self.low, self.high - self.low, 1.0)
        log = self.logarithmic
        if log.any():
            start, end = np.log(self.low[log]), np.log(self.high[log])
            scaled[:, log] = (np.log(matrix[:, log]) - start) / (end - start)
        return np.asarray(scaled)


def columns(distributions: Sequence[BaseDistribution]) -> Columns:
    """Those of dimensions with these distributions; the last ones asked for are kept.

    They are found by identity: to compare distributions takes longer than most of what is asked of
    columns. What is kept holds on to its distributions, so that no other takes their place.
    """
    key = tuple(map(id, distributions))
    if key not in _kept:
        while len(_kept) >= KEPT:
            del _kept[next(iter(_kept))]
        _kept[key] = tuple(distributions), Columns.of(distributions)
    return _kept[key][1]


_kept: dict[tuple[int, ...], tuple[tuple[BaseDistribution, ...], Columns]] = {}


def _ends(dist: BaseDistribution) -> tuple[float, float]:
    if isinstance(dist, CategoricalDistribution):
        return 0.0, len(dist.choices) - 1.0
    assert isinstance(dist, IntDistribution | FloatDistribution)
    return float(dist.low), float(dist.high)


def _step(dist: BaseDistribution) -> float:
    """Between values; 0 where they are not counted."""
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
    values = range(dist.low, dist.high + 1, dist.step)
    return [np.nan, *(float(value) for value in values[1:])] if 2 < len(values) <= STEPS else [np.nan]
