"""Constraints that only a trial tells: the probability that a candidate meets all of them.

One predictor per constraint learns its value, of which 0 or less is feasible; the probabilities are
multiplied as if constraints were independent (Gardner et al., ICML 2014).
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

__all__ = ["Feasibility"]

Floats = NDArray[np.float64]

_LIKELY = 0.5
"""Least probability of a candidate that counts as feasible."""


@dataclass(frozen=True)
class Feasibility:
    """Probabilities that genotypes [n, d] meet the constraints; without predictors everything does."""

    predictors: tuple[Fitted, ...] = ()
    """One for each constraint that was violated at least once."""
    thresholds: tuple[float, ...] = ()
    """The constraint 0 on the scale of each predictor."""

    @classmethod
    def fitted(cls, template: Predictor, matrix: Matrix, constraints: Sequence[Mapping[str, float]]) -> Self:
        """Learn from genotypes [n, d] and, for each, its constraints by name, of which it may lack some."""
        predictors, thresholds = [], []
        for name in sorted({name for measured in constraints for name in measured}):
            rows = [at for at, measured in enumerate(constraints) if name in measured]
            values = _finite(np.array([float(constraints[at][name]) for at in rows]))
            if (values > 0).any():
                scale = LabelScale.of(values)
                predictors.append(clone(template).fit(matrix[rows], scale.forward(values)))
                thresholds.append(float(scale.forward(np.zeros(1))[0]))
        return cls(tuple(predictors), tuple(thresholds))

    def __call__(self, matrix: Matrix) -> Floats:
        """Probabilities [n]."""
        probability = np.ones(len(matrix))
        if len(matrix):
            for predictor, threshold in zip(self.predictors, self.thresholds, strict=True):
                mean, std = predictor.predict(matrix, return_std=True)
                probability *= ndtr((threshold - mean) / np.maximum(std, 1e-6))
        return probability

    def likely(self, matrix: Matrix) -> NDArray[np.bool_]:
        """Whether each genotype [n, d] is more likely feasible than not."""
        return np.asarray(self(matrix) >= _LIKELY)


def _finite(values: Floats) -> Floats:
    """Infinite values, drawn in to twice the largest finite one."""
    finite = np.abs(values[is_finite(values)])
    most = 2 * float(finite.max(initial=0.5))
    return np.asarray(np.clip(values, -most, most))
