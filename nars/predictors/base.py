"""The contract of a predictor, which is that of a scikit-learn regressor."""

from __future__ import annotations

from typing import Any, Protocol, runtime_checkable

from numpy import float64
from numpy.typing import NDArray

from nars.space.genotypes import Matrix

__all__ = ["Believing", "Fitted", "Predictor"]


class Fitted(Protocol):
    """Predicts the scores of genotypes [n, d] and knows how sure it is."""

    def predict(
        self,
        X: Matrix,  # noqa: N803 - scikit-learn's name
        return_std: bool = False,
        return_cov: bool = False,
    ) -> Any:
        """Scores [n]; with their standard deviations [n], or their covariances [n, n], as a pair."""


@runtime_checkable
class Believing(Fitted, Protocol):
    """A fitted predictor that can be told what it predicts itself, as if it had been measured."""

    def believing(self, X: Matrix) -> Fitted: ...  # noqa: N803 - scikit-learn's name


class Predictor(Fitted, Protocol):
    """Learns to predict from the scores [n] of genotypes [n, d]; scikit-learn's `clone` copies it."""

    def fit(self, X: Matrix, y: NDArray[float64]) -> Fitted: ...  # noqa: N803 - scikit-learn's name
