"""Local refinement: the best of an evolution, moved by ever smaller steps.

A generation of an evolution mutates numbers by a fifth of their range, far too coarse for the top of a
smooth acquisition function of a few continuous parameters. The best candidates take random
steps of shrinking length here, and move whenever a step is better.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from nars.sampling.acquisition import Acquisition
from nars.sampling.evolution import Evolution, Population
from nars.sampling.strategy import evolve_from_best
from nars.space.feasible import Reservoir
from nars.space.genotypes import Matrix

__all__ = ["evolve_and_refine"]

_CLIMBERS = 16
"""Candidates that are refined."""

_STEPS = 24
"""Steps that each of them tries at a time."""

_LENGTHS = (0.1, 0.05, 0.03, 0.02, 0.01, 0.006, 0.003, 0.001)
"""Standard deviations of a step, as shares of the ranges."""


def evolve_and_refine(
    acquisition: Acquisition, measured: Matrix, reservoir: Reservoir, rng: np.random.Generator
) -> Evolution:
    """The evolution of `evolve_from_best`, its best candidates by one score refined."""
    evolution = evolve_from_best(acquisition, measured, reservoir, rng)
    continuous = reservoir.domain.dimensions.count == 0
    if not continuous.any() or evolution.scored.scores.shape[1] > 1 or not len(evolution.scored):
        return evolution
    visited, best = [evolution.scored], evolution.scored.best(_CLIMBERS)
    for length in _LENGTHS:
        steps = reservoir.domain.canonical(_steps(best.matrix, length, continuous, reservoir, rng))
        allowed = reservoir.allows(steps)
        scores = np.full((len(steps), 1), -np.inf)
        scores[allowed] = acquisition(steps[allowed])
        visited.append(Population(steps, scores).where(np.isfinite(scores[:, 0])))
        best = _better(best, steps, scores)
    scored = _distinct(Population.joined(visited))
    evaluations = sum(map(len, visited))
    return Evolution(evolution.population, scored, evolution.generations, evaluations)


def _steps(
    matrix: Matrix,
    length: float,
    continuous: NDArray[np.bool_],
    reservoir: Reservoir,
    rng: np.random.Generator,
) -> Matrix:
    """Each row of `matrix` `_STEPS` times, moved along about half of its continuous dimensions."""
    dimensions = reservoir.domain.dimensions
    rows = np.repeat(matrix, _STEPS, axis=0)
    moved = (rng.random(rows.shape) < 0.5) & continuous
    unit = np.abs(dimensions.to_unit(rows) + rng.normal(0, length, rows.shape))
    unit = np.where(unit > 1, 2 - unit, unit).clip(0, 1)
    return np.where(moved, dimensions.from_unit(unit), rows)


def _better(best: Population, steps: Matrix, scores: NDArray[np.float64]) -> Population:
    """Each candidate, or its best step if that has a higher score."""
    top = scores.reshape(len(best), _STEPS).argmax(axis=1) + _STEPS * np.arange(len(best))
    gained = scores[top] > best.scores
    return Population(np.where(gained, steps[top], best.matrix), np.where(gained, scores[top], best.scores))


def _distinct(population: Population) -> Population:
    """The members without repetition."""
    return population.where(np.unique(population.matrix, axis=0, return_index=True)[1])
