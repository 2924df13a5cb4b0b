"""Predictions of every objective of a search."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Self

import numpy as np
from numpy.typing import NDArray
from sklearn.base import clone

from nars.predictors import Believing, Fitted, Predictor
from nars.predictors.scores import LabelScale
from nars.sampling.feasibility import Feasibility
from nars.space.genotypes import Domain, Matrix

__all__ = ["Predictions"]

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Predictions:
    """Predicts the objectives of genotypes [n, d].

    An objective without a predictor is a statistic of the domain. What is predicted is on the scale of
    its predictor, which learned scaled scores; `scores` leads back to the scores.
    """

    domain: Domain
    signs: Mapping[str, float]
    """Every objective, in order: 1 to maximize it, -1 to minimize it."""
    predictors: Mapping[str, Fitted]
    scales: Mapping[str, LabelScale]
    """The scale of each predictor."""
    feasibility: Feasibility = field(default_factory=Feasibility)
    """The probability of meeting the constraints that trials measure."""

    @classmethod
    def fitted(
        cls,
        domain: Domain,
        template: Predictor,
        signs: Mapping[str, float],
        matrix: Matrix,
        values: Floats,
        feasibility: Feasibility | None = None,
    ) -> Self:
        """Fit a clone of `template` to each objective of genotypes [n, d] that is not a statistic.

        `values` [n, k] are those measured, in the order of `signs`.
        """
        statistics = domain.statistics(matrix[:1]).keys()
        scores = {name: values[:, column] for column, name in enumerate(signs) if name not in statistics}
        scales = {name: LabelScale.of(score) for name, score in scores.items()}
        predictors: dict[str, Fitted] = {
            name: clone(template).fit(matrix, scales[name].forward(score)) for name, score in scores.items()
        }
        return cls(domain, signs, predictors, scales, feasibility or Feasibility())

    def __call__(self, matrix: Matrix) -> tuple[Floats, Floats]:
        """Means and standard deviations [n, k], larger is better."""
        means, stds = np.zeros((2, len(matrix), len(self.signs)))
        if not len(matrix):
            return means, stds
        for column, name in enumerate(self.signs):
            if name in self.predictors:
                means[:, column], stds[:, column] = self.predictors[name].predict(matrix, return_std=True)
        self._fill_in_statistics(means, matrix)
        return self._signed(means), stds

    def means(self, matrix: Matrix) -> Floats:
        """The means [n, k] of a call; the standard deviations of many genotypes take longer than these."""
        means = np.zeros((len(matrix), len(self.signs)))
        if not len(matrix):
            return means
        for column, name in enumerate(self.signs):
            if name in self.predictors:
                means[:, column] = self.predictors[name].predict(matrix)
        self._fill_in_statistics(means, matrix)
        return self._signed(means)

    def believing(self, matrix: Matrix) -> Self:
        """These predictions after trainings of genotypes [n, d] that gave just what was predicted.

        Means stay as they are, and what is like one of the genotypes becomes more certain. With no genotype,
        or if a predictor cannot be told (`nars.predictors.Believing`), it is this object itself.
        """
        if not len(matrix) or not all(isinstance(fit, Believing) for fit in self.predictors.values()):
            return self
        fits = self.predictors.items()
        told = {name: fit.believing(matrix) for name, fit in fits if isinstance(fit, Believing)}
        return replace(self, predictors=told)

    def joint(self, matrix: Matrix) -> tuple[Floats, Floats]:
        """Means [n] and covariances [n, n] of the only objective, larger is better."""
        means, stds = self(matrix)
        mean, std = means[:, 0], stds[:, 0]
        if not self.predictors or not len(matrix):
            return mean, np.zeros((len(mean), len(mean)))
        (predictor,) = self.predictors.values()
        covariance = predictor.predict(matrix, return_cov=True)[1]
        # Exactly the variances that the candidates were scored by.
        factor = std / np.sqrt(np.maximum(covariance.diagonal(), 1e-24))
        return mean, factor[:, None] * covariance * factor

    def scores(self, values: Floats) -> Floats:
        """Values [n, k] on the predictors' scales as scores; larger is better in both."""
        scores = self._signed(values)
        for column, name in enumerate(self.signs):
            if name in self.scales:
                scores[:, column] = self.scales[name].inverse(scores[:, column])
        return self._signed(scores)

    def score(self, genotype: Matrix) -> tuple[float, float] | None:
        """Mean and standard deviation of the first predicted objective of one genotype [1, d], as a score.

        None if every objective is a statistic.
        """
        for name, predictor in self.predictors.items():
            z, std = predictor.predict(genotype, return_std=True)
            scale = self.scales[name]
            return float(scale.inverse(z)[0]), float(scale.inverse_std(z, std)[0])
        return None

    def _fill_in_statistics(self, values: Floats, matrix: Matrix) -> None:
        """Write the objectives of genotypes [n, d] that need no prediction into `values` [n, k]."""
        statistics = self.domain.statistics(matrix) if len(self.predictors) < len(self.signs) else {}
        for column, name in enumerate(self.signs):
            if name not in self.predictors:
                values[:, column] = statistics[name]

    def _signed(self, values: Floats) -> Floats:
        return np.asarray(np.array(list(self.signs.values())) * values)
