"""Limits on what is known before training, and the part of a space within them."""

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

__all__ = [
    "FeasiblePart",
    "Limits",
    "Reservoir",
    "check_known",
    "feasible",
    "feasible_part",
    "sample",
    "smallest",
]

Limits = Mapping[str, float]
"""The largest allowed value of each statistic, by name: ``{"macs": 60e6}``."""

_POOL = 1 << 14
"""Candidates drawn at a time in search of feasible ones."""

_ATTEMPTS = 4
"""How often they are drawn before random walks take over."""

_WALKERS = 1024
"""Random walks at least, and candidates in a reservoir."""

_STEPS = 64
"""Steps of a random walk."""


@dataclass(frozen=True)
class FeasiblePart:
    """The part of a space within limits, estimated from an even sample of the space."""

    share: float
    """Candidates that meet every limit, as a share of all, 0..1."""
    quantiles: dict[str, tuple[float, float, float]]
    """Smallest, median and largest value of each statistic among these candidates."""


def feasible(domain: Domain, matrix: Matrix, limits: Limits) -> NDArray[np.bool_]:
    """Whether each of the genotypes [n, d] meets every limit."""
    meets = np.ones(len(matrix), dtype=bool)
    if limits:
        statistics = domain.statistics(matrix)
        for name, limit in limits.items():
            meets &= statistics[name] <= limit
    return meets


def sample(domain: Domain, limits: Limits, n: int, rng: np.random.Generator, *, quasi: bool = True) -> Matrix:
    """`n` feasible genotypes [n, d], evenly spread (fewer only if no more are found).

    If the limits leave next to nothing, random walks spread from what was found and from the
    smallest candidates. Raises `InfeasibleError`, with the smallest possible value, if nothing
    is left, and `UsageError` for a limit on a statistic that the domain does not have.
    """
    if not limits:
        return genotypes.sample(domain, n, rng, quasi=quasi)
    check_known(domain, limits)
    kept = np.zeros((0, len(domain.distributions)))
    for attempt in range(1, _ATTEMPTS + 1):
        drawn = genotypes.sample(domain, max(n, _POOL), rng, quasi=quasi)
        kept = np.concatenate([kept, drawn[feasible(domain, drawn, limits)]])
        if len(kept) >= n:
            return kept[:n]
        if len(kept) * _ATTEMPTS < n * attempt:  # the attempts left would not be enough
            break
    seeds = np.concatenate([kept, *(smallest(domain, name)[None] for name in limits)])
    seeds = seeds[feasible(domain, seeds, limits)]
    if not len(seeds):
        raise InfeasibleError(_why_infeasible(domain, limits))
    walked = walk(domain, limits, seeds, max(n, _WALKERS), _STEPS, rng)
    kept = np.unique(np.concatenate([kept, walked]), axis=0)
    return kept[rng.permutation(len(kept))[:n]]


def walk(
    domain: Domain, limits: Limits, start: Matrix, n: int, steps: int, rng: np.random.Generator
) -> Matrix:
    """The ends [n, d] of `n` random walks within the limits that begin in feasible genotypes [m, d].

    A step is a mutation, rejected if it leads outside. It is as likely as its reverse, so long walks
    end in all feasible genotypes with the same probability (Metropolis et al. 1953).
    """
    walkers: Matrix = start[rng.integers(len(start), size=n)]
    for _ in range(steps):
        moved = genotypes.mutate(domain, walkers, rng)
        walkers = np.where(feasible(domain, moved, limits)[:, None], moved, walkers)
    return walkers


class Reservoir:
    """Feasible genotypes to draw from again and again, at the same small cost however tight the limits.

    What is drawn depends only on the limits, the seed and the generator. Raises what `sample` raises.
    """

    def __init__(self, domain: Domain, limits: Limits, seed: int) -> None:
        self.domain = domain
        self.limits = limits
        self.seed = seed

    @cached_property
    def _start(self) -> Matrix:
        return sample(self.domain, self.limits, _WALKERS, np.random.default_rng(self.seed), quasi=False)

    def allows(self, matrix: Matrix) -> NDArray[np.bool_]:
        """Whether each of the genotypes [n, d] meets every limit."""
        return feasible(self.domain, matrix, self.limits)

    def draw(self, n: int, rng: np.random.Generator) -> Matrix:
        """`n` feasible genotypes [n, d]; some may be equal."""
        if not self.limits:
            return genotypes.sample(self.domain, n, rng, quasi=False)
        return walk(self.domain, self.limits, self._start, n, 2, rng)


def smallest(domain: Domain, statistic: str) -> NDArray[np.float64]:
    """The genotype [d] with the least of a statistic, by descent along one or two dimensions at a time.

    Exact if the statistic grows or falls with every dimension by itself or together with one other,
    as MACs do with a kernel and its padding.
    """
    drawn = genotypes.sample(domain, _POOL, np.random.default_rng(0))
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
    """How much of a space is within limits, for the table that a user sees before a search.

    Raises `InfeasibleError`.
    """
    drawn = genotypes.sample(domain, _POOL, rng)
    meets = feasible(domain, drawn, limits)
    inside = drawn[meets] if meets.any() else sample(domain, limits, 256, rng)
    least = [smallest(domain, name)[None] for name in domain.statistics(drawn[:1])]
    inside = np.concatenate([inside, *least])
    statistics = domain.statistics(inside[feasible(domain, inside, limits)])
    quantiles = {
        name: (float(values.min()), float(np.median(values)), float(values.max()))
        for name, values in statistics.items()
    }
    return FeasiblePart(share=float(meets.mean()), quantiles=quantiles)


def check_known(domain: Domain, limits: Limits) -> None:
    """Raise `UsageError` for a limit on a statistic that the domain does not have."""
    known = domain.statistics(domain.dimensions.from_unit(np.zeros((1, len(domain.distributions)))))
    for name in limits:
        if name not in known:
            raise UsageError(f"no limit on {name!r} in this space: {closest(name, known)}")


def _why_infeasible(domain: Domain, limits: Limits) -> str:
    least = {name: float(domain.statistics(smallest(domain, name)[None])[name][0]) for name in limits}
    alone = [name for name, limit in limits.items() if least[name] > limit]
    asked = ", ".join(f"{name} <= {_exact(limit)}{_unit(name)}" for name, limit in limits.items())
    known = ", ".join(f"{name} {_exact(least[name])}{_unit(name)}" for name in alone or limits)
    return f"no candidate meets {asked}: the smallest possible is {known}"


def _unit(name: str) -> str:
    return " s" if name == "latency" else ""


def _exact(value: float) -> str:
    """Counts to the last digit, so a limit copied from the message can be met; fractions rounded."""
    return f"{value:.0f}" if float(value).is_integer() else f"{value:.4g}"
