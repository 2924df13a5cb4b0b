"""A Gaussian process on the encoded candidate and its exact statistics.

This rival of the paper's networks needs no pretraining, since MACs and parameters are inputs, and
its uncertainty is a posterior. `nars.predictors.kernel` defines how alike two candidates are.
"""

from __future__ import annotations

from collections.abc import Callable
from copy import copy
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.linalg import cho_solve, solve_triangular
from sklearn.base import BaseEstimator, RegressorMixin
from sklearn.utils.validation import check_is_fitted

from nars.predictors.kernel import Kernel
from nars.predictors.scores import LabelScale, check_labels, check_matrix
from nars.space.genotypes import Domain, Matrix, is_architecture_feature, sample

__all__ = ["GaussianPredictor"]

Floats = NDArray[np.float64]

MOST_LABELS = 1000
"""At most this many labels condition the process: the newest half, and a random choice of the older ones."""

_TRUST = np.log(3.0)
"""Prior log weight of `knowledge` in the linear kernel: an earlier search of the same dimensions
tells more than MACs and parameters do."""

_SLOPE = 0.5
"""Standard deviations that a score is expected to rise with one of `knowledge`, before any label says more.
If it were 0, three labels that happen to disagree with the knowledge would be enough to turn it round
(`experiments.inheritance_choice`). If it were 1, knowledge of other data would be believed for too long
(`experiments.warm_start`).
"""

_LEAST_VARIANCE = 1e-6
"""Least variance of a prediction, on the scale of the labels."""

_TUNED_ON = 300
"""Labels that tune the kernel; the others only condition the process."""

_CHUNK = 4096
"""Rows predicted at a time."""

_ARCHITECTURE, _RECIPE, _STATISTIC, _KNOWLEDGE = range(4)
"""Kinds of inputs; each kind is a group of the kernel."""


class GaussianPredictor(RegressorMixin, BaseEstimator):  # type: ignore[misc]  # scikit-learn has no types
    """Predicts the score of genotypes [n, d] of `domain`, with its posterior standard deviation.

    - `knowledge`: gives further inputs [n, k] for genotypes [n, d], such as the predictions of earlier
      searches (`nars.predictors.knowledge`).
    - `scaled`: labels are on a `nars.predictors.scores.LabelScale` already, and predictions are as well.

    Labels are expected in the order of measurement; it matters if there are more than `MOST_LABELS`.
    """

    def __init__(
        self,
        domain: Domain,
        seed: int = 0,
        knowledge: Callable[[Matrix], Floats] | None = None,
        scaled: bool = False,
    ) -> None:
        self.domain = domain
        self.seed = seed
        self.knowledge = knowledge
        self.scaled = scaled

    def fit(self, X: ArrayLike, y: ArrayLike) -> Self:  # noqa: N803 - scikit-learn's name
        matrix = check_matrix(self.domain, X)
        labels = check_labels(y, len(matrix))
        rng = np.random.default_rng(self.seed)
        self.n_features_in_ = matrix.shape[1]
        self.scale_ = LabelScale.unit() if self.scaled else LabelScale.of(labels)
        inputs, kinds = self._raw_inputs(sample(self.domain, 1024, rng))
        present, groups = np.unique(kinds, return_inverse=True)
        std = inputs.std(axis=0)
        self.input_mean_, self.input_std_ = inputs.mean(axis=0), np.where(std < 1e-6, 1.0, std)
        chosen = _kept(len(matrix), rng)
        self.inputs_ = self._inputs(matrix[chosen])
        known = kinds == _KNOWLEDGE
        self.slopes_ = known * _SLOPE / max(known.sum(), 1)
        self.centre_ = self.inputs_.mean(axis=0)
        z = self.scale_.forward(labels[chosen]) - self._expected(self.inputs_)
        tuning = rng.permutation(len(z))[:_TUNED_ON]
        trust = [_TRUST if kind == _KNOWLEDGE else 0.0 for kind in present]
        self.kernel_ = Kernel(groups, np.array(trust))
        self.theta_ = self.kernel_.tuned(self.inputs_[tuning], z[tuning])
        self.cholesky_ = self.kernel_.cholesky(self.theta_, self.inputs_)
        self.alpha_ = cho_solve((self.cholesky_, True), z)
        return self

    def believing(self, X: ArrayLike) -> Self:  # noqa: N803 - scikit-learn's name
        """A copy to which the scores that this one predicts for genotypes [n, d] are known, without noise.

        This is the "kriging believer" (Ginsbourger et al., Computational Intelligence in Expensive
        Optimization Problems, 2010): means stay the same, so only the Cholesky factor grows, by n rows.
        """
        check_is_fitted(self)
        x = self._inputs(check_matrix(self.domain, X))
        told = copy(self)
        told.cholesky_ = self.kernel_.extended(self.theta_, self.cholesky_, self.inputs_, x)
        told.inputs_ = np.concatenate([self.inputs_, x])
        told.alpha_ = np.concatenate([self.alpha_, np.zeros(len(x))])
        return told

    def predict(self, X: ArrayLike, return_std: bool = False, return_cov: bool = False) -> Any:  # noqa: N803 - scikit-learn's name
        """Scores [n]; with their standard deviations [n], or covariances [n, n], as in scikit-learn."""
        check_is_fitted(self)
        x = self._inputs(check_matrix(self.domain, X))
        if return_cov:
            z, explained = self._conditioned(x)
            covariances = self.kernel_(self.theta_, x, x) - explained.T @ explained
            slope = self.scale_.inverse_std(z, np.ones(len(z)))
            return self.scale_.inverse(z), slope[:, None] * covariances * slope
        parts = [self._predict(x[start : start + _CHUNK], return_std) for start in range(0, len(x), _CHUNK)]
        z, std = np.concatenate(parts, axis=1) if parts else np.zeros((2, 0))
        if not return_std:
            return self.scale_.inverse(z)
        return self.scale_.inverse(z), self.scale_.inverse_std(z, std)

    def _predict(self, x: Floats, return_std: bool) -> tuple[Floats, Floats]:
        """Means [n] and standard deviations [n], scaled, of inputs [n, f]."""
        if not return_std:
            mean = self._expected(x) + self.kernel_(self.theta_, x, self.inputs_) @ self.alpha_
            return mean, np.zeros(len(x))
        mean, explained = self._conditioned(x)
        variance = self.kernel_.diagonal(self.theta_, x) - np.einsum("ij,ij->j", explained, explained)
        return mean, np.sqrt(np.maximum(variance, _LEAST_VARIANCE))

    def _conditioned(self, x: Floats) -> tuple[Floats, Floats]:
        """Means [n], scaled, and a factor [labels, n] of the covariance that the labels explain."""
        cross = self.kernel_(self.theta_, x, self.inputs_)
        mean = self._expected(x) + cross @ self.alpha_
        explained = solve_triangular(
            self.cholesky_, cross.T, lower=True, overwrite_b=True, check_finite=False
        )
        return mean, explained

    def _expected(self, x: Floats) -> Floats:
        """Means [n], scaled, of inputs [n, f] by knowledge alone: 0 in the middle of the labelled ones."""
        return np.asarray((x - self.centre_) @ self.slopes_)

    def _inputs(self, matrix: Matrix) -> Floats:
        return np.asarray((self._raw_inputs(matrix)[0] - self.input_mean_) / self.input_std_)

    def _raw_inputs(self, matrix: Matrix) -> tuple[Floats, NDArray[np.int64]]:
        """Inputs [n, f] and the kind of each [f]."""
        encoded = self.domain.dimensions.features(matrix).astype(np.float64)
        statistics = [np.log(np.maximum(values, 1e-12)) for values in self.domain.statistics(matrix).values()]
        earlier = np.zeros((len(matrix), 0)) if self.knowledge is None else self.knowledge(matrix)
        kinds = np.where(is_architecture_feature(self.domain), _ARCHITECTURE, _RECIPE)
        others = np.repeat([_STATISTIC, _KNOWLEDGE], [len(statistics), earlier.shape[1]])
        return np.column_stack([encoded, *statistics, earlier]), np.concatenate([kinds, others])


def _kept(n: int, rng: np.random.Generator) -> NDArray[np.int64]:
    """The rows that condition the process."""
    if n <= MOST_LABELS:
        return np.arange(n)
    earlier = rng.permutation(n - MOST_LABELS // 2)[: MOST_LABELS - MOST_LABELS // 2]
    return np.concatenate([np.sort(earlier), np.arange(n - MOST_LABELS // 2, n)])
