"""The first candidates of a search with prior knowledge: every second one is what it prefers.

Knowledge of whole candidates, from earlier searches, is followed to the letter. Knowledge of architectures
alone says nothing about recipes, and its favourites are near twins, so there the preferred architectures are
chosen far apart, and the recipes of all candidates are spread evenly.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from scipy.stats import qmc

from nars.space.genotypes import Domain, Matrix

__all__ = ["Preferring", "best", "far_apart"]

Preferring = Callable[[Domain, Matrix, Matrix, np.random.Generator], Matrix]
"""First candidates [n, d], made of evenly spread ones [n, d] and of a pool [m, d] sorted from the best."""

_CONTENDERS = 1 / 16
"""Share of the pool, from the best, among which those far apart are chosen."""


def best(domain: Domain, even: Matrix, ranked: Matrix, rng: np.random.Generator) -> Matrix:
    """Replace every second candidate by the best of the pool."""
    mixed = even.copy()
    mixed[::2] = ranked[: len(mixed[::2])]
    return mixed


def far_apart(domain: Domain, even: Matrix, ranked: Matrix, rng: np.random.Generator) -> Matrix:
    """Replace every second architecture by a good one unlike the others, and spread the recipes of all.

    The best architecture comes first. Each of the others is, of the best sixteenth of the pool, the farthest
    from those chosen before it. The recipes of either half of the candidates are a Latin hypercube: no two of
    them share a part of a range.
    """
    dimensions, recipe = domain.dimensions, domain.dimensions.recipe
    mixed = even.copy()
    good = ranked[: max(len(mixed[::2]), int(len(ranked) * _CONTENDERS))]
    features = dimensions.features(good)[:, ~recipe[dimensions.source]]
    chosen = good[_farthest(features, len(mixed[::2]))]
    mixed[::2, ~recipe] = chosen[:, ~recipe]
    if recipe.any():
        unit = np.zeros(mixed.shape)
        for half in np.array_split(np.arange(len(mixed)), 2):
            design = qmc.LatinHypercube(int(recipe.sum()), rng=rng)
            unit[np.ix_(half, recipe)] = design.random(len(half)) if len(half) else 0.0
        mixed = np.where(recipe, dimensions.from_unit(unit), mixed)
    return domain.canonical(mixed)


def _farthest(features: NDArray[np.float32], count: int) -> NDArray[np.int64]:
    """Numbers of the first row [n, f] and, one by one, of the row farthest from those chosen before."""
    chosen = [0]
    nearest = np.full(len(features), np.inf)
    while len(chosen) < min(count, len(features)):
        nearest = np.minimum(nearest, ((features - features[chosen[-1]]) ** 2).sum(axis=1))
        chosen.append(int(nearest.argmax()))
    return np.array(chosen)
