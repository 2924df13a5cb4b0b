"""Cutting a split off another one: per class, fixed, the same on every machine."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

__all__ = ["SHARE", "cut"]

SHARE = 0.2
"""Part of the images that goes to each of val and test where a source has no such split."""

_SEED = 20210620


def cut(labels: ArrayLike, parts: int) -> tuple[NDArray[np.int64], ...]:
    """Sorted image numbers of what stays, followed by those of `parts` pieces of `SHARE` each.

    Every class is cut alone. A class of few images gives each piece one while one is left to stay.
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
