"""Several objectives at once: who dominates whom, how crowded a front is, how much it dominates.

Scores are [n, k], larger is better in each. Ranks and hypervolumes are Optuna's.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from nars import internals

__all__ = ["best_first", "crowding", "dominated", "hypervolume", "ranks"]

Floats = NDArray[np.float64]


def dominated(scores: Floats) -> NDArray[np.bool_]:
    """Whether another point dominates each of n points: no worse in any objective and better in one."""
    no_worse = np.all(scores[None] >= scores[:, None], axis=2)
    better = np.any(scores[None] > scores[:, None], axis=2)
    return np.asarray(np.logical_and(no_worse, better).any(axis=1))


def ranks(scores: Floats, least: int) -> NDArray[np.int64]:
    """The front [n] that each point is on, 0 undominated; exact for at least the `least` best points."""
    return internals.non_domination_ranks(-scores, least)


def crowding(scores: Floats, ranks: NDArray[np.int64]) -> Floats:
    """How far apart the neighbours of each point are on its front [n]; infinite at its ends.

    Source: the crowding distance of NSGA-II (Deb et al., IEEE TEC 2002, section III-B).
    """
    distance = np.zeros(len(scores))
    for rank in np.unique(ranks):
        front = np.flatnonzero(ranks == rank)
        for column in scores[front].T:
            order = np.argsort(column, kind="stable")
            values = column[order]
            width = values[-1] - values[0]
            if width > 0:
                gaps = np.concatenate([[np.inf], values[2:] - values[:-2], [np.inf]])
                distance[front[order]] += gaps / width
    return distance


def best_first(scores: Floats, count: int) -> NDArray[np.int64]:
    """The `count` best points, best first: by front, and the least crowded first within a front."""
    if scores.shape[1] == 1:
        return np.argsort(-scores[:, 0], kind="stable")[:count]
    if not len(scores):
        return np.zeros(0, dtype=np.int64)
    fronts = ranks(scores, count)
    return np.lexsort((-crowding(scores, fronts), fronts))[:count]


def hypervolume(scores: Floats, reference: Floats) -> float:
    """The volume that points dominate above `reference` [k]; with k = 1 how far the best is above it."""
    if not len(scores):
        return 0.0
    return internals.hypervolume(np.minimum(-scores, -reference), -reference)
