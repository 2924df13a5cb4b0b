"""The first candidates of many workers: those asked for before there are results to learn from.

A search by one worker learns after a handful of evenly spread candidates. Sixteen workers train sixteen by
then, and most of them could have been better ones: a longer training is rarely worse than a shorter one, what
a limit is set on would help, or nobody would limit it, and the default recipe is what people would try first.
So these candidates have many epochs and are as large as the limits allow, every second one has the default
recipe otherwise, and in all other dimensions they are as far apart as they can be.
`experiments/search_benchmark/many_workers` measures what that brings.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)
from scipy.stats import rankdata

from nars.sampling.strategy import PriorKnowledge
from nars.space import genotypes
from nars.space.feasible import Reservoir
from nars.space.genotypes import Domain, Matrix
from nars.space.values import contains

__all__ = ["promise", "promising", "spread", "usual"]

_POOL = 256
"""Candidates from which those of the workers are chosen, far apart; half of them are."""

_CHOICE = 64
"""Random candidates that each of these is the most promising of."""

_EPOCHS = "recipe.epochs"
"""The dimension of which more is taken to be better."""


def promising(
    reservoir: Reservoir,
    given: Matrix,
    knowledge: PriorKnowledge | None,
    *,
    by_size: bool,
    rng: np.random.Generator,
) -> Matrix:
    """Choose genotypes [n, d] that promise most and are far apart, from each other and from `given` [m, d].

    `knowledge` tells what they promise. Without it `promise` does, and every second one has the default
    recipe, the first among them.
    """
    domain, pool = reservoir.domain, reservoir.draw(_POOL * _CHOICE, rng)
    worth = promise(domain, pool, by_size=by_size) if knowledge is None else knowledge(pool).mean(axis=1)
    best = pool[np.argsort(-worth, kind="stable")[: len(pool) // _CHOICE]]
    chosen = spread(domain, best, given, len(best) // 2)
    if knowledge is None:
        chosen[::2] = usual(domain, chosen[::2])
    return chosen


def promise(domain: Domain, matrix: Matrix, *, by_size: bool) -> NDArray[np.float64]:
    """Mean ranks [n], 0..1, of genotypes [n, d] by their epochs and, if asked for, by all their statistics.

    All are equal if there is nothing to rank them by.
    """
    sizes = list(domain.statistics(matrix).values()) if by_size else []
    parts = [np.mean([rankdata(size) for size in sizes], axis=0)] if sizes else []
    epochs = domain.distributions.get(_EPOCHS)
    choices = epochs.choices if isinstance(epochs, CategoricalDistribution) else ()
    if epochs is not None and all(isinstance(choice, int | float) for choice in choices):
        parts.append(rankdata(genotypes.numbers(domain, matrix, _EPOCHS)))
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


def usual(domain: Domain, matrix: Matrix) -> Matrix:
    """Genotypes [n, d] whose recipe is the default one of the domain, but for its epochs.

    A default outside of a range becomes its nearer end. A domain without a kind of recipe has no defaults.
    """
    defaults = _defaults(domain)
    changed = [{**genotype, **defaults} for genotype in genotypes.to_genotypes(domain, matrix)]
    return domain.canonical(genotypes.from_genotypes(domain, changed))


def _defaults(domain: Domain) -> Mapping[str, Any]:
    """The default values of the dimensions that are of the recipe."""
    usual: Mapping[str, Any] = getattr(domain, "default_recipe", {})
    dists = domain.distributions
    given = {name: _within(dists[name], usual[name]) for name in usual if name in dists and name != _EPOCHS}
    return {name: value for name, value in given.items() if contains(dists[name], value)}


def _within(dist: BaseDistribution, value: Any) -> Any:
    if isinstance(dist, FloatDistribution | IntDistribution) and isinstance(value, int | float):
        return min(max(value, dist.low), dist.high)
    return value
