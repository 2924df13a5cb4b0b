"""Constraints on what is known before training, and what they leave of a space."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from optuna.distributions import CategoricalDistribution

from nars.errors import InfeasibleError, UsageError, closest
from nars.space import genotypes
from nars.space.genotypes import Domain, Matrix

__all__ = ["FeasiblePart", "Limits", "Reservoir", "feasible", "feasible_part", "sample", "smallest"]

Limits = Mapping[str, float]
"""The largest allowed value of each statistic, by name: ``{"macs": 60e6}``."""

POOL = 1 << 14
ATTEMPTS = 4
WALKERS = 1024
STEPS = 64


@dataclass(frozen=True)
class FeasiblePart:
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

    Where the limits leave next to nothing, random walks spread from what was found and from the
    smallest candidates. Raises `InfeasibleError`, with the smallest possible value, where nothing
    is left, and `UsageError` for a limit on what the domain does not know.
    """
    if not limits:
        return genotypes.sample(domain, n, rng, quasi=quasi)
    _check_known(domain, limits)
    found = np.zeros((0, len(domain.distributions)))
    for attempt in range(1, ATTEMPTS + 1):
        drawn = genotypes.sample(domain, max(n, POOL), rng, quasi=quasi)
        found = np.concatenate([found, drawn[feasible(domain, drawn, limits)]])
        if len(found) >= n:
            return found[:n]
        if len(found) * ATTEMPTS < n * attempt:  # the attempts left would not do
            break
    seeds = np.concatenate([found, *(smallest(domain, name)[None] for name in limits)])
    seeds = seeds[feasible(domain, seeds, limits)]
    if not len(seeds):
        raise InfeasibleError(_why_infeasible(domain, limits))
    walked = walk(domain, limits, seeds, max(n, WALKERS), STEPS, rng)
    found = np.unique(np.concatenate([found, walked]), axis=0)
    return found[rng.permutation(len(found))[:n]]


def walk(
    domain: Domain, limits: Limits, start: Matrix, n: int, steps: int, rng: np.random.Generator
) -> Matrix:
    """Where `n` random walks within the limits end that begin in feasible genotypes [m, d].

    A step is a mutation, not made where it leads outside. It is as likely as its reverse, so that
    long walks end everywhere alike (Metropolis et al. 1953).
    """
    at: Matrix = start[rng.integers(len(start), size=n)]
    for _ in range(steps):
        moved = genotypes.mutate(domain, at, rng)
        at = np.where(feasible(domain, moved, limits)[:, None], moved, at)
    return at


class Reservoir:
    """Feasible genotypes to draw from again and again, at the same small cost however tight the limits.

    What is drawn depends on the limits, the seed and the generator alone. Raises what `sample` does.
    """

    def __init__(self, domain: Domain, limits: Limits, seed: int) -> None:
        self.domain = domain
        self.limits = limits
        self.seed = seed

    @cached_property
    def _start(self) -> Matrix:
        return sample(self.domain, self.limits, WALKERS, np.random.default_rng(self.seed), quasi=False)

    def allows(self, matrix: Matrix) -> NDArray[np.bool_]:
        """Which genotypes [n, d] meet every limit."""
        return feasible(self.domain, matrix, self.limits)

    def draw(self, n: int, rng: np.random.Generator) -> Matrix:
        """`n` feasible genotypes [n, d]; some may be equal."""
        if not self.limits:
            return genotypes.sample(self.domain, n, rng, quasi=False)
        return walk(self.domain, self.limits, self._start, n, 2, rng)


def smallest(domain: Domain, statistic: str) -> NDArray[np.float64]:
    """The genotype [d] with the least of a statistic, by descent along one or two dimensions at a time.

    Exact where the statistic grows or falls with every dimension by itself or with one other, as
    MACs do with a kernel and its padding.
    """
    drawn = genotypes.sample(domain, POOL, np.random.default_rng(0))
    best: NDArray[np.float64] = drawn[np.argmin(domain.statistics(drawn)[statistic])]
    at_once = 1
    for _ in range(4 * len(best)):
        neighbours = domain.canonical(_neighbours(domain, best, at_once))
        values = domain.statistics(np.concatenate([best[None], neighbours]))[statistic]
        if values[1:].min(initial=np.inf) < values[0]:
            best, at_once = neighbours[np.argmin(values[1:])], 1
        elif at_once == 2:
            break
        else:
            at_once = 2
    return best


def _neighbours(domain: Domain, genotype: NDArray[np.float64], at_once: int) -> Matrix:
    """Copies that have another choice, or an end of the range, in one or two dimensions."""
    counts = [
        len(dist.choices) if isinstance(dist, CategoricalDistribution) else 2
        for dist in domain.distributions.values()
    ]
    columns = np.repeat(np.arange(len(counts)), counts)
    values = np.concatenate([np.linspace(0, 1, count) for count in counts] or [np.zeros(0)])
    changes = (
        np.stack(np.triu_indices(len(columns)), axis=1) if at_once == 2 else np.arange(len(columns))[:, None]
    )
    unit = np.repeat(domain.dimensions.to_unit(genotype[None]), len(changes), axis=0)
    for change in changes.T:
        unit[np.arange(len(unit)), columns[change]] = values[change]
    return domain.dimensions.from_unit(unit)


def feasible_part(domain: Domain, limits: Limits, rng: np.random.Generator) -> FeasiblePart:
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
    return FeasiblePart(share=float(meets.mean()), quantiles=quantiles)


def _check_known(domain: Domain, limits: Limits) -> None:
    known = domain.statistics(domain.dimensions.from_unit(np.zeros((1, len(domain.distributions)))))
    for name in limits:
        if name not in known:
            raise UsageError(f"no limit on {name!r} in this space: {closest(name, known)}")


def _why_infeasible(domain: Domain, limits: Limits) -> str:
    least = {name: float(domain.statistics(smallest(domain, name)[None])[name][0]) for name in limits}
    alone = [name for name, limit in limits.items() if least[name] > limit]
    asked = ", ".join(f"{name} <= {_exact(limit)}" for name, limit in limits.items())
    known = ", ".join(f"{name} {_exact(least[name])}" for name in alone or limits)
    return f"no candidate meets {asked}: the smallest possible is {known}"


def _exact(value: float) -> str:
    """Counts to the last digit, so that what is shown is met when asked for; fractions rounded."""
    return f"{value:.0f}" if value == int(value) else f"{value:.4g}"
