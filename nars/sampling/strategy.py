"""How a sampler starts, what it values and how it searches: the exchangeable parts of a proposal."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nars.sampling.acquisition import Acquisition, make_acquisition
from nars.sampling.evolution import Evolution, evolve
from nars.sampling.pareto import best_first
from nars.sampling.predictions import Predictions
from nars.sampling.preferred import Preferring, best
from nars.sampling.rounds import FIRST_BATCH
from nars.space import feasible
from nars.space.feasible import Reservoir
from nars.space.genotypes import Genotype, Matrix

__all__ = ["EVALUATIONS", "PriorKnowledge", "Strategy", "even_start", "evolve_from_best"]

EVALUATIONS = 6000
"""Candidates that a round scores at most."""

_ELITE = 32
"""Best measured candidates that the evolution starts from."""

_RANDOM = 256
"""Random candidates that it starts from as well."""

DrawStart = Callable[[Reservoir, int, np.random.Generator], Matrix]
"""Draws a given number of feasible genotypes [n, d] for the first batch from a reservoir."""

MakeAcquisition = Callable[[Predictions, Matrix], Acquisition]
"""The acquisition function of a round, from its predictions and the measured genotypes [m, d]."""

FindCandidates = Callable[[Acquisition, Matrix, Reservoir, np.random.Generator], Evolution]
"""The candidates of a round, from its acquisition and the measured genotypes [m, d]."""

PriorKnowledge = Callable[[Matrix], NDArray[np.float64]]
"""Predicts genotypes [n, d] before any trial, larger is better: [n, k]."""


def even_start(reservoir: Reservoir, count: int, rng: np.random.Generator) -> Matrix:
    """Genotypes [n, d] spread evenly over what the limits leave of the space."""
    return feasible.sample(reservoir.domain, reservoir.limits, count, rng)


def evolve_from_best(
    acquisition: Acquisition, measured: Matrix, reservoir: Reservoir, rng: np.random.Generator
) -> Evolution:
    """An evolution that starts from the best measured candidates and random ones."""
    elite = measured[best_first(acquisition.measured, _ELITE)]
    return evolve(
        reservoir.domain,
        acquisition,
        start=np.concatenate([elite, reservoir.draw(_RANDOM, rng)]),
        feasible=reservoir.allows,
        rng=rng,
        max_evaluations=EVALUATIONS,
    )


@dataclass(frozen=True)
class Strategy:
    """The parts of a proposal; an experiment exchanges one of them."""

    first_batch: int = FIRST_BATCH
    """Trials before the first prediction."""
    knowledge: PriorKnowledge | None = None
    """It chooses half of the first batch, and the Gaussian process takes it as additional inputs."""
    first: Sequence[Genotype] = ()
    """Candidates that come before all others of the first batch."""
    start: DrawStart = even_start
    prefer: Preferring = best
    acquisition: MakeAcquisition = make_acquisition
    search: FindCandidates = evolve_from_best
