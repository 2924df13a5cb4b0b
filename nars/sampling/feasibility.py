"""Constraints that only a trial tells: the probability that a candidate meets all of them.

One predictor per constraint learns its value, of which 0 or less is feasible; the probabilities are
multiplied as if constraints were independent (Gardner et al., ICML 2014). In a plain study one of them is
not to fail, and counts more.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr
from sklearn.base import clone

from nars.predictors import Fitted, Predictor
from nars.predictors.scores import LabelScale, is_finite
from nars.space.genotypes import Matrix

__all__ = ["FAILS", "Feasibility"]

Floats = NDArray[np.float64]

FAILS = "nars: fails"
"""The name of the constraint not to fail: 1 for a trial that failed, -1 for another."""

_CAUTION = 4
"""Power of the probability not to fail. A trial that fails tells nothing of the objective, which is often
predicted to be best where nothing was ever measured. `experiments.plain_problems.failing` compares powers."""

_LIKELY = 0.5
"""Least probability of a candidate that counts as feasible."""


@dataclass(frozen=True)
class Feasibility:
    """Probabilities that genotypes [n, d] meet the constraints; without predictors everything does."""

    predictors: tuple[Fitted, ...] = ()
    """One for each constraint that was violated at least once."""
    thresholds: tuple[float, ...] = ()
    """The value up to which each constraint is met, on the scale of its predictor."""
    powers: tuple[int, ...] = ()
    """The power of each probability."""

    @classmethod
    def fitted(cls, template: Predictor, matrix: Matrix, constraints: Sequence[Mapping[str, float]]) -> Self:
        """Learn from genotypes [n, d] and, for each, its constraints by name, of which it may lack some."""
        predictors, thresholds, powers = [], [], []
        for name in sorted({name for measured in constraints for name in measured}):
            rows = [at for at, measured in enumerate(constraints) if name in measured]
            values = _finite(np.array([float(constraints[at][name]) for at in rows]))
            if (values > 0).any():
                scale = _scale_of(values)
                predictors.append(clone(template).fit(matrix[rows], scale.forward(values)))
                thresholds.append(float(scale.forward(np.array([_border(values)]))[0]))
                powers.append(_CAUTION if name == FAILS else 1)
        return cls(tuple(predictors), tuple(thresholds), tuple(powers))

    def __call__(self, matrix: Matrix) -> Floats:
        """Probabilities [n]."""
        probability = np.ones(len(matrix))
        if len(matrix):
            for predictor, threshold, power in zip(
                self.predictors, self.thresholds, self.powers, strict=True
            ):
                mean, std = predictor.predict(matrix, return_std=True)
                probability *= ndtr((threshold - mean) / np.maximum(std, 1e-6)) ** power
        return probability

    def likely(self, matrix: Matrix) -> NDArray[np.bool_]:
        """Whether each genotype [n, d] is more likely feasible than not."""
        return np.asarray(self(matrix) >= _LIKELY)


def _scale_of(values: Floats) -> LabelScale:
    """The scale of a constraint's values [n].

    Of two values, such as failed or not, the rarer is no outlier.
    """
    low, high = values.min(), values.max()
    if np.isin(values, [low, high]).all() and low < high:
        return LabelScale(float(low + high) / 2, float(high - low) / 2)
    return LabelScale.of(values)


def _border(values: Floats) -> float:
    """The value between those [n] of a constraint that meet it and those that do not.

    That is 0 where it is crossed steadily. Where values are met or not, or clipped at 0, predictions of met
    ones lie a little above these: there it is half way to the first that is not met.
    """
    met, least = values[values <= 0], values[values > 0].min()
    low, high = values.min(), values.max()
    if np.isin(values, [low, high]).all() and low <= 0:
        return float(low + high) / 2
    return float(least) / 2 if met.size and met.max() == 0 else 0.0


def _finite(values: Floats) -> Floats:
    """Infinite values, drawn in to twice the largest finite one."""
    finite = np.abs(values[is_finite(values)])
    most = 2 * float(finite.max(initial=0.5))
    return np.asarray(np.clip(values, -most, most))
