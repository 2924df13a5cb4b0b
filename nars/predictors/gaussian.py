"""A Gaussian process on the encoded candidate and its exact statistics.

The rival of the paper's head: nothing to pretrain, since MACs and parameters enter as inputs, and
an uncertainty that is a posterior. `nars.predictors.kernel` says how alike two candidates are.
"""

from __future__ import annotations

from collections.abc import Callable
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

TRUST = np.log(3.0)
"""Prior log weight of the linear kernel's knowledge: a search of the same dimensions tells more than
MACs and parameters do."""
SMALLEST = 1e-6
"""Variance that a prediction has at least."""
TUNED_ON = 300
"""Labels that set the kernel; all others only condition it."""
LARGEST = 1000
"""Labels that condition it; of more, the later half of these is the last and the rest random."""
CHUNK = 4096
ARCHITECTURE, RECIPE, STATISTIC, KNOWLEDGE = range(4)
"""Kinds of inputs; those of a kind are a group of the kernel."""


class GaussianPredictor(RegressorMixin, BaseEstimator):  # type: ignore[misc]  # scikit-learn has no types
    """Predicts the score of genotypes [n, d] of `domain`, with its posterior standard deviation.

    The contract is that of `nars.predictors.ensemble.AccuracyPredictor`. The order of the labels is taken as
    the order of measurement where there are more than `LARGEST`. `knowledge` gives further inputs
    [n, k] of genotypes, such as what earlier searches make of them (`nars.predictors.knowledge`). Labels
    that are `scaled` are on a `nars.predictors.scores.LabelScale` already, and so are predictions then.
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
        inputs, kinds = self._known(sample(self.domain, 1024, rng))
        known, groups = np.unique(kinds, return_inverse=True)
        std = inputs.std(axis=0)
        self.input_mean_, self.input_std_ = inputs.mean(axis=0), np.where(std < 1e-6, 1.0, std)
        chosen = _kept(len(matrix), rng)
        self.inputs_ = self._inputs(matrix[chosen])
        z = self.scale_.forward(labels[chosen])
        tuning = rng.permutation(len(z))[:TUNED_ON]
        trust = [TRUST if kind == KNOWLEDGE else 0.0 for kind in known]
        self.kernel_ = Kernel(groups, np.array(trust))
        self.theta_ = self.kernel_.tuned(self.inputs_[tuning], z[tuning])
        self.cholesky_ = self.kernel_.cholesky(self.theta_, self.inputs_)
        self.alpha_ = cho_solve((self.cholesky_, True), z)
        return self

    def predict(self, X: ArrayLike, return_std: bool = False, return_cov: bool = False) -> Any:  # noqa: N803 - scikit-learn's name
        """Scores [n]; with their standard deviations [n], or covariances [n, n], as scikit-learn's does."""
        check_is_fitted(self)
        x = self._inputs(check_matrix(self.domain, X))
        if return_cov:
            z, explained = self._conditioned(x)
            covariances = self.kernel_(self.theta_, x, x) - explained.T @ explained
            slope = self.scale_.inverse_std(z, np.ones(len(z)))
            return self.scale_.inverse(z), slope[:, None] * covariances * slope
        parts = [self._predict(x[i : i + CHUNK], return_std) for i in range(0, len(x), CHUNK)]
        z, std = np.concatenate(parts, axis=1) if parts else np.zeros((2, 0))
        if not return_std:
            return self.scale_.inverse(z)
        return self.scale_.inverse(z), self.scale_.inverse_std(z, std)

    def _predict(self, x: Floats, return_std: bool) -> tuple[Floats, Floats]:
        """Means [n] and standard deviations [n], scaled, of inputs [n, f]."""
        if not return_std:
            return self.kernel_(self.theta_, x, self.inputs_) @ self.alpha_, np.zeros(len(x))
        mean, explained = self._conditioned(x)
        variance = self.kernel_.diagonal(self.theta_, x) - np.einsum("ij,ij->j", explained, explained)
        return mean, np.sqrt(np.maximum(variance, SMALLEST))

    def _conditioned(self, x: Floats) -> tuple[Floats, Floats]:
        """Means [n], scaled, and the factor [labels, n] of what the labels explain of the covariances."""
        cross = self.kernel_(self.theta_, x, self.inputs_)
        return cross @ self.alpha_, solve_triangular(self.cholesky_, cross.T, lower=True)

    def _inputs(self, matrix: Matrix) -> Floats:
        return np.asarray((self._known(matrix)[0] - self.input_mean_) / self.input_std_)

    def _known(self, matrix: Matrix) -> tuple[Floats, NDArray[np.int64]]:
        """Inputs [n, f], and what each is: ARCHITECTURE, RECIPE, STATISTIC or KNOWLEDGE [f]."""
        encoded = self.domain.dimensions.features(matrix).astype(np.float64)
        statistics = [np.log(np.maximum(values, 1e-12)) for values in self.domain.statistics(matrix).values()]
        earlier = np.zeros((len(matrix), 0)) if self.knowledge is None else self.knowledge(matrix)
        kinds = np.where(is_architecture_feature(self.domain), ARCHITECTURE, RECIPE)
        others = np.repeat([STATISTIC, KNOWLEDGE], [len(statistics), earlier.shape[1]])
        return np.column_stack([encoded, *statistics, earlier]), np.concatenate([kinds, others])


def _kept(n: int, rng: np.random.Generator) -> NDArray[np.int64]:
    """Rows that condition the process."""
    if n <= LARGEST:
        return np.arange(n)
    earlier = rng.permutation(n - LARGEST // 2)[: LARGEST - LARGEST // 2]
    return np.concatenate([np.sort(earlier), np.arange(n - LARGEST // 2, n)])
