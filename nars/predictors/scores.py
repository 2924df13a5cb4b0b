"""The labels of predictors: checked genotypes, and scores on a scale that outliers do not distort."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from nars.errors import UsageError
from nars.space.genotypes import Domain, Matrix

__all__ = ["LabelScale", "check_labels", "check_matrix", "is_finite"]

_TAIL = 3.0
"""Robust standard deviations from the median; beyond them the scale is logarithmic."""

_FEW = 6
"""Scores below which ties or one outlier make their median deviation meaningless."""

_INFINITE = 1e100
"""Larger numbers count as infinite: what is computed from them may not fit into float64."""

Floats = NDArray[np.float64]


def is_finite(values: ArrayLike) -> NDArray[np.bool_]:
    """Whether each of the values is a number to compute with: not NaN, not infinite, and not beyond 1e100."""
    return np.asarray(np.abs(values) <= _INFINITE)


@dataclass(frozen=True)
class LabelScale:
    """Maps scores to about -3..3 and back, in the same order.

    A recipe that fails to train scores far below all others. Median and median absolute
    deviation leave the differences among the others at scale 1, and the outlier itself is drawn in. Of a few
    scores nobody knows which are outliers, so there the standard deviation counts for more.
    On the way back, the map continues linearly beyond all scores: extrapolation must not explode.
    """

    centre: float
    spread: float
    low: float = -_TAIL
    """The lowest score, scaled, if it is beyond the linear part."""
    high: float = _TAIL
    """The highest score, likewise."""
    tail: float = _TAIL
    """The end of the linear part, scaled."""

    @classmethod
    def of(cls, y: Floats) -> Self:
        """The scale that suits scores [n]."""
        centre = float(np.median(y))
        deviation = float(y.std())
        least = deviation / (2 if len(y) < _FEW else 10)
        spread = max(1.4826 * float(np.median(np.abs(y - centre))), least)
        scale = cls(centre, spread if spread > 1e-12 * float(np.abs(y).max(initial=0.0)) else 1.0)
        z = scale.forward(y)
        return replace(scale, low=min(float(z.min()), -_TAIL), high=max(float(z.max()), _TAIL))

    @classmethod
    def unit(cls) -> Self:
        """The scale of labels that are scaled already: changes nothing."""
        return cls(0.0, 1.0, -np.inf, np.inf, np.inf)

    def forward(self, y: Floats) -> Floats:
        """Scaled scores [n] from scores [n]."""
        z = (y - self.centre) / self.spread
        far = np.maximum(np.abs(z) - self.tail, 0)
        return np.asarray(np.sign(z) * (np.minimum(np.abs(z), self.tail) + np.log1p(far)))

    def inverse(self, z: Floats) -> Floats:
        """Scores [n] from scaled scores [n]."""
        within = np.clip(z, self.low, self.high)
        far = np.maximum(np.abs(within) - self.tail, 0)
        size = np.minimum(np.abs(within), self.tail) + np.expm1(far)
        return np.asarray(self.centre + self.spread * (np.sign(within) * size + z - within))

    def inverse_std(self, z: Floats, std: Floats) -> Floats:
        """The standard deviation of a score whose scaled prediction is z ± std (first order)."""
        slope = np.exp(np.maximum(np.abs(z) - self.tail, 0))
        return np.asarray(self.spread * std * np.where((z < self.low) | (z > self.high), 1.0, slope))


def check_matrix(domain: Domain, x: ArrayLike) -> Matrix:
    """Canonical genotypes [n, d]. Raises `UsageError` for another number of dimensions."""
    matrix = np.asarray(x, dtype=np.float64)
    d = len(domain.distributions)
    if matrix.ndim != 2 or matrix.shape[1] != d:
        raise UsageError(f"genotypes must be [n, {d}], got {list(matrix.shape)}")
    return domain.canonical(matrix)


def check_labels(y: ArrayLike, n: int) -> Floats:
    """Scores [n]. Raises `UsageError` if they are missing, not finite or of another number."""
    labels = np.asarray(y, dtype=np.float64)
    if labels.shape != (n,) or n == 0:
        raise UsageError(f"needs one score for each of {n} genotypes and at least one, got {labels.shape}")
    if not np.isfinite(labels).all():
        raise UsageError(f"scores must be finite, got {labels[~np.isfinite(labels)][0]}")
    return labels
