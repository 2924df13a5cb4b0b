"""How well two lists of scores agree on the order of things, and how sure that is."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.stats import rankdata

__all__ = ["Agreement", "kendall", "spearman"]

RESAMPLES = 1000
LEAST = 4
"""Pairs below which nothing is said: three can be in the right order by chance one time in six."""

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Agreement:
    """A rank correlation, -1..1, with the 95 % interval of a bootstrap over pairs."""

    value: float
    low: float
    high: float
    pairs: int

    def __str__(self) -> str:
        return f"{self.value:.2f} ({self.low:.2f} to {self.high:.2f}, {self.pairs} pairs)"

    def to_dict(self) -> dict[str, float]:
        return asdict(self)


def kendall(a: ArrayLike, b: ArrayLike, seed: int = 0) -> Agreement | None:
    """Kendall's tau-b of two lists of scores [n]; None below 4 pairs or where all of one are equal."""
    return _agreement(_signs, a, b, seed)


def spearman(a: ArrayLike, b: ArrayLike, seed: int = 0) -> Agreement | None:
    """Spearman's rank correlation of two lists of scores [n]; None as for `kendall`."""
    return _agreement(_ranks, a, b, seed)


def _agreement(
    features: Callable[[Floats], Floats], a: ArrayLike, b: ArrayLike, seed: int
) -> Agreement | None:
    """Both are the cosine between something computed from either list."""
    x, y = np.asarray(a, np.float64), np.asarray(b, np.float64)
    assert x.shape == y.shape, (x.shape, y.shape)
    if len(x) < LEAST or _constant(x, y):
        return None
    rng = np.random.default_rng(seed)
    draws = (rng.integers(len(x), size=len(x)) for _ in range(RESAMPLES))
    values = [
        _cosine(features(x[drawn]), features(y[drawn]))
        for drawn in draws
        if not _constant(x[drawn], y[drawn])
    ]
    low, high = np.quantile(values, [0.025, 0.975])
    return Agreement(_cosine(features(x), features(y)), float(low), float(high), len(x))


def _signs(values: Floats) -> Floats:
    """Which of every two is larger, [n (n - 1) / 2] of -1, 0, 1."""
    one, other = np.triu_indices(len(values), 1)
    signs: Floats = np.sign(values[one] - values[other])
    return signs


def _ranks(values: Floats) -> Floats:
    """Ranks [n] around 0, equal values sharing theirs."""
    centred: Floats = rankdata(values) - (len(values) + 1) / 2
    return centred


def _cosine(a: Floats, b: Floats) -> float:
    return float(a @ b / np.sqrt((a @ a) * (b @ b)))


def _constant(*lists: Floats) -> bool:
    """Whether one of them has nothing to rank."""
    return any(np.ptp(values) == 0 for values in lists)
