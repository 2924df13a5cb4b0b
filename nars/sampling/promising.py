"""The first candidates of many workers: those asked for before there are results to learn from.

A search by one worker learns after a handful of evenly spread candidates. Sixteen workers train sixteen by
then, and ten of them could have been better ones: a longer training is rarely worse than a shorter one, and
what a limit is set on would help, or nobody would limit it. So these candidates have many epochs and are as
large as the limits allow, and in all other dimensions they are as far apart as they can be.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.stats import rankdata

from nars.space.genotypes import Domain, Matrix

__all__ = ["promise", "spread"]

_EPOCHS = "recipe.epochs"
"""The dimension of which more is taken to be better."""


def promise(domain: Domain, matrix: Matrix, *, by_size: bool) -> NDArray[np.float64]:
    """Mean ranks [n], 0..1, of genotypes [n, d] by their epochs and, if asked for, by all their statistics.

    All are equal if there is nothing to rank them by.
    """
    sizes = list(domain.statistics(matrix).values()) if by_size else []
    parts = [np.mean([rankdata(size) for size in sizes], axis=0)] if sizes else []
    names = list(domain.distributions)
    if _EPOCHS in names:
        parts.append(rankdata(matrix[:, names.index(_EPOCHS)]))
    return np.asarray(np.mean(parts, axis=0) / len(matrix)) if parts else np.zeros(len(matrix))


def spread(domain: Domain, pool: Matrix, given: Matrix, count: int) -> Matrix:
    """Choose at most `count` of a pool [n, d], each the furthest from `given` [m, d] and those chosen before.

    Source: Gonzalez, Clustering to minimize the maximum intercluster distance, 1985.
    """
    unit = domain.dimensions.to_unit(pool)
    near = np.full(len(pool), np.inf)
    for row in domain.dimensions.to_unit(given):
        near = np.minimum(near, ((unit - row) ** 2).sum(axis=1))
    chosen: list[int] = []
    for _ in range(min(count, len(pool))):
        chosen.append(int(near.argmax()))
        near = np.minimum(near, ((unit - unit[chosen[-1]]) ** 2).sum(axis=1))
    return np.asarray(pool[chosen])
