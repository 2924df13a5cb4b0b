"""Cuts a split off another one: per class, and the same on every machine."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

__all__ = ["SHARE", "cut"]

SHARE = 0.2
"""Share of the images that goes to each of val and test if a source has no such split."""

_SEED = 20210620
"""Seed of every cut, so that it is always the same."""


def cut(labels: ArrayLike, parts: int) -> tuple[NDArray[np.int64], ...]:
    """Sorted image numbers [n] of the rest, then of `parts` pieces with a `SHARE` of the images each.

    Every class of `labels` [n] is cut alone. A class of few images gives one to each piece, as long
    as one is left for the rest.
    """
    labels = np.asarray(labels)
    rng = np.random.default_rng(_SEED)
    pieces: list[list[NDArray[np.int64]]] = [[] for _ in range(parts + 1)]
    for label in np.unique(labels):
        members = rng.permutation(np.flatnonzero(labels == label))
        size = max(1, round(SHARE * len(members)))
        start = 0
        for piece in pieces[1:]:
            taken = members[start : min(start + size, len(members) - 1)]
            piece.append(taken)
            start += len(taken)
        pieces[0].append(members[start:])
    return tuple(np.sort(np.concatenate(piece)) for piece in pieces)
