"""Rank correlations: how far two lists of scores agree on the order, and how sure that is."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.stats import rankdata

__all__ = ["FEWEST_PAIRS", "Agreement", "kendall", "spearman"]

FEWEST_PAIRS = 4
"""Pairs below which ranks say nothing: three are in the right order by chance one time in six."""

_RESAMPLES = 1000
"""Bootstrap samples that an interval is computed from."""

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


def kendall(a: ArrayLike, b: ArrayLike) -> Agreement | None:
    """Return Kendall's tau-b of two lists of scores [n].

    Returns None for fewer than 4 pairs, or if all scores of a list are equal.
    """
    return _agreement(_tau, a, b)


def spearman(a: ArrayLike, b: ArrayLike) -> Agreement | None:
    """Return Spearman's rank correlation of two lists of scores [n]; None as for `kendall`."""
    return _agreement(_rho, a, b)


def _agreement(
    correlation: Callable[[Floats, Floats], float], a: ArrayLike, b: ArrayLike
) -> Agreement | None:
    """Compute a correlation and its bootstrap interval."""
    x, y = np.asarray(a, np.float64), np.asarray(b, np.float64)
    assert x.shape == y.shape, (x.shape, y.shape)
    if len(x) < FEWEST_PAIRS or not _can_be_ranked(x, y):
        return None
    rng = np.random.default_rng(0)
    values = []
    for _ in range(_RESAMPLES):
        rows = rng.integers(len(x), size=len(x))
        if _can_be_ranked(x[rows], y[rows]):
            values.append(correlation(x[rows], y[rows]))
    low, high = np.quantile(values, [0.025, 0.975])
    return Agreement(correlation(x, y), float(low), float(high), len(x))


def _tau(x: Floats, y: Floats) -> float:
    """Return Kendall's tau-b: the cosine between the signs of all pairwise differences."""
    return _cosine(_signs(x), _signs(y))


def _rho(x: Floats, y: Floats) -> float:
    """Return Spearman's correlation: the cosine between centred ranks."""
    return _cosine(_ranks(x), _ranks(y))


def _signs(values: Floats) -> Floats:
    """Return the signs of all pairwise differences: -1, 0 or 1, [n (n - 1) / 2]."""
    first, second = np.triu_indices(len(values), 1)
    signs: Floats = np.sign(values[first] - values[second])
    return signs


def _ranks(values: Floats) -> Floats:
    """Return ranks [n] centred at 0; equal values share their mean rank."""
    centred: Floats = rankdata(values) - (len(values) + 1) / 2
    return centred


def _cosine(a: Floats, b: Floats) -> float:
    return float(a @ b / np.sqrt((a @ a) * (b @ b)))


def _can_be_ranked(x: Floats, y: Floats) -> bool:
    """Whether both lists have values that differ."""
    return bool(np.ptp(x) != 0 and np.ptp(y) != 0)
