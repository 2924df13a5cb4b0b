"""Candidates that teach a search what is inherited where it will look."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from nars.space.feasible import Limits, Reservoir
from nars.space.genotypes import Domain, Genotype, Matrix, from_genotypes, to_genotypes

__all__ = ["lessons"]

_MOST = 0.5
"""The largest share of values that a candidate between a cut and a random one has of the latter."""

_ATTEMPTS = 16
"""How often such candidates are drawn in search of feasible ones."""


def lessons(
    domain: Domain, limits: Limits, seed: int, cuts: Sequence[Genotype], count: int
) -> list[Genotype]:
    """Draw `count` candidates within the limits, which depend only on the `cuts` and the seed.

    Some of the cuts come first, evenly spread. Half of the others lie between a cut and a random candidate,
    of which they have at most half of the values. The rest is random, and so are all if there are no cuts.
    """
    reservoir, rng = Reservoir(domain, limits, seed), np.random.default_rng(seed)
    numbers = np.linspace(0, len(cuts) - 1, min(len(cuts), count // 4)).astype(int)
    chosen = from_genotypes(domain, [cuts[at] for at in numbers])
    between = _between(reservoir, chosen, (count - len(chosen)) // 2, rng) if len(chosen) else chosen
    drawn = reservoir.draw(count - len(chosen) - len(between), rng)
    return to_genotypes(domain, np.concatenate([chosen, between, drawn]))


def _between(reservoir: Reservoir, cuts: Matrix, count: int, rng: np.random.Generator) -> Matrix:
    """At most `count` feasible genotypes [n, d], each between one of the cuts and a random one."""
    found = cuts[:0]
    for _ in range(_ATTEMPTS):
        drawn = reservoir.draw(count, rng)
        taken = rng.random(drawn.shape) < rng.uniform(0, _MOST, size=(count, 1))
        mixed = np.where(taken, drawn, cuts[rng.integers(len(cuts), size=count)])
        mixed = reservoir.domain.canonical(mixed)
        found = np.concatenate([found, mixed[reservoir.allows(mixed)]])[:count]
        if len(found) == count:
            break
    return found
