"""The contract of a predictor, which is that of a scikit-learn regressor."""

from __future__ import annotations

from typing import Any, Protocol

from numpy import float64
from numpy.typing import NDArray

from nars.space.genotypes import Matrix

__all__ = ["Fitted", "Predictor"]


class Fitted(Protocol):
    """Predicts the scores of genotypes [n, d] and knows how sure it is."""

    def predict(
        self,
        X: Matrix,  # noqa: N803 - scikit-learn's name
        return_std: bool = False,
        return_cov: bool = False,
    ) -> Any:
        """Scores [n]; with their standard deviations [n], or their covariances [n, n], as a pair."""


class Predictor(Fitted, Protocol):
    """Learns to predict from the scores [n] of genotypes [n, d]; scikit-learn's `clone` copies it."""

    def fit(self, X: Matrix, y: NDArray[float64]) -> Fitted: ...  # noqa: N803 - scikit-learn's name
