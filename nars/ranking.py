"""How well two lists of scores agree on the order of things, and how sure that is."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.stats import kendalltau, spearmanr

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
    return _agreement(a, b, lambda x, y: float(kendalltau(x, y).statistic), seed)


def spearman(a: ArrayLike, b: ArrayLike, seed: int = 0) -> Agreement | None:
    """Spearman's rank correlation of two lists of scores [n]; None as for `kendall`."""
    return _agreement(a, b, lambda x, y: float(spearmanr(x, y).statistic), seed)


def _agreement(
    a: ArrayLike, b: ArrayLike, statistic: Callable[[Floats, Floats], float], seed: int
) -> Agreement | None:
    x, y = np.asarray(a, np.float64), np.asarray(b, np.float64)
    assert x.shape == y.shape, (x.shape, y.shape)
    if len(x) < LEAST or _constant(x, y):
        return None
    rng = np.random.default_rng(seed)
    draws = (rng.integers(len(x), size=len(x)) for _ in range(RESAMPLES))
    values = [statistic(x[drawn], y[drawn]) for drawn in draws if not _constant(x[drawn], y[drawn])]
    low, high = np.quantile(values, [0.025, 0.975])
    return Agreement(statistic(x, y), float(low), float(high), len(x))


def _constant(*lists: Sequence[float] | Floats) -> bool:
    """Whether one of them has nothing to rank."""
    return any(np.ptp(values) == 0 for values in lists)
