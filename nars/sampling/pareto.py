"""Relations between points of several objectives: who dominates whom, and how crowded a front is."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = ["crowding", "dominated"]

Floats = NDArray[np.float64]


def dominated(values: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Which rows of [n, objectives], larger is better, another row dominates."""
    no_worse = np.all(values[None] >= values[:, None], axis=2)
    better = np.any(values[None] > values[:, None], axis=2)
    return np.asarray(np.logical_and(no_worse, better).any(axis=1))


def crowding(scores: Floats, ranks: NDArray[np.int64]) -> Floats:
    """How far apart the neighbours of each point are on its front [n]; ends are infinitely so."""
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
