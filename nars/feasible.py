"""Constraints on what is known before training, and what they leave of a space."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from optuna.distributions import CategoricalDistribution

from nars import genotypes
from nars.errors import InfeasibleError
from nars.genotypes import Domain, Matrix

__all__ = ["Limits", "Remaining", "feasible", "remaining", "sample", "smallest"]

Limits = Mapping[str, float]
"""The largest allowed value of each statistic, by name: ``{"macs": 60e6}``."""

POOL = 1 << 14
ATTEMPTS = 8


@dataclass(frozen=True)
class Remaining:
    """What limits leave of a space, estimated from an even sample of it."""

    share: float
    """Of candidates that meet every limit, 0..1."""
    quantiles: dict[str, tuple[float, float, float]]
    """Smallest, median and largest of each statistic among these."""


def feasible(domain: Domain, matrix: Matrix, limits: Limits) -> NDArray[np.bool_]:
    """Which genotypes [n, d] meet every limit."""
    meets = np.ones(len(matrix), dtype=bool)
    if limits:
        statistics = domain.statistics(matrix)
        for name, limit in limits.items():
            meets &= statistics[name] <= limit
    return meets


def sample(domain: Domain, limits: Limits, n: int, rng: np.random.Generator, *, quasi: bool = True) -> Matrix:
    """`n` feasible genotypes [n, d], evenly spread (fewer only where no more are found).

    Where the limits leave next to nothing, the sample spreads from the smallest candidates by
    mutation. Raises `InfeasibleError`, with the smallest possible value, where nothing is left.
    """
    found = np.zeros((0, len(domain.distributions)))
    pool = max(n, POOL) if limits else n
    for _ in range(ATTEMPTS):
        drawn = genotypes.sample(domain, pool, rng, quasi=quasi)
        found = np.concatenate([found, drawn[feasible(domain, drawn, limits)]])
        if len(found) >= n:
            return found[:n]
    seeds = [found, *(smallest(domain, name)[None] for name in limits)]
    found = np.concatenate(seeds)
    found = found[feasible(domain, found, limits)]
    if not len(found):
        raise InfeasibleError(_why_infeasible(domain, limits))
    for _ in range(ATTEMPTS * 4):
        parents = found[rng.integers(len(found), size=max(n, 1024))]
        children = genotypes.mutate(domain, parents, rng)
        found = np.concatenate([found, children[feasible(domain, children, limits)]])
        found = np.unique(found, axis=0)
        if len(found) >= 4 * n:
            break
    return found[rng.permutation(len(found))[:n]]


def smallest(domain: Domain, statistic: str) -> NDArray[np.float64]:
    """The genotype [d] with the least of a statistic, by descent along one dimension at a time.

    Exact where the statistic grows or falls with every dimension by itself, as MACs and parameters do.
    """
    drawn = genotypes.sample(domain, POOL, np.random.default_rng(0))
    best: NDArray[np.float64] = drawn[np.argmin(domain.statistics(drawn)[statistic])]
    for _ in range(len(best) + 1):
        neighbours = domain.canonical(_neighbours(domain, best))
        values = domain.statistics(np.concatenate([best[None], neighbours]))[statistic]
        if values[1:].min(initial=np.inf) >= values[0]:
            break
        best = neighbours[np.argmin(values[1:])]
    return best


def _neighbours(domain: Domain, genotype: NDArray[np.float64]) -> Matrix:
    """Copies that have another choice, or an end of the range, in one dimension."""
    rows = []
    for index, dist in enumerate(domain.distributions.values()):
        count = len(dist.choices) if isinstance(dist, CategoricalDistribution) else 2
        unit = genotypes.to_unit(domain, np.repeat(genotype[None], count, axis=0))
        unit[:, index] = (np.arange(count) + 0.5) / count if count > 2 else np.arange(count)
        rows.append(genotypes.from_unit(domain, unit))
    return np.concatenate(rows) if rows else np.zeros((0, len(genotype)))


def remaining(domain: Domain, limits: Limits, rng: np.random.Generator) -> Remaining:
    """The table that a user sees before a search. Raises `InfeasibleError`."""
    drawn = genotypes.sample(domain, POOL, rng)
    meets = feasible(domain, drawn, limits)
    left = drawn[meets] if meets.any() else sample(domain, limits, 256, rng)
    ends = [smallest(domain, name)[None] for name in domain.statistics(drawn[:1])]
    left = np.concatenate([left, *ends])
    statistics = domain.statistics(left[feasible(domain, left, limits)])
    quantiles = {
        name: (float(values.min()), float(np.median(values)), float(values.max()))
        for name, values in statistics.items()
    }
    return Remaining(share=float(meets.mean()), quantiles=quantiles)


def _why_infeasible(domain: Domain, limits: Limits) -> str:
    least = {name: float(domain.statistics(smallest(domain, name)[None])[name][0]) for name in limits}
    alone = [name for name, limit in limits.items() if least[name] > limit]
    asked = ", ".join(f"{name} <= {limit:g}" for name, limit in limits.items())
    known = ", ".join(f"{name} {least[name]:g}" for name in alone or limits)
    return f"no candidate meets {asked}: the smallest possible is {known}"
