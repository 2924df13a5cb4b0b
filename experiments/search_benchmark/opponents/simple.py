"""Random search, aging evolution and mutation of the incumbent: a page of code each."""

from __future__ import annotations

import numpy as np

from experiments.search_benchmark.opponents.base import Optimizer, scalarisation
from experiments.search_benchmark.problem import Array, Problem
from nars.space.genotypes import Matrix, mutate

__all__ = ["AgingEvolution", "LocalMutation", "Random", "feasible_mutant"]

_ATTEMPTS = 64
"""Mutants drawn in search of a feasible one."""


class Random(Optimizer):
    """Draws candidates uniformly at random."""

    def __init__(self, problem: Problem, budget: int, seed: int) -> None:
        self._problem, self._rng = problem, np.random.default_rng(seed)

    def ask(self) -> Matrix:
        return self._problem.sample(1, self._rng)

    def tell(self, matrix: Matrix, values: Array) -> None:
        pass


class AgingEvolution(Optimizer):
    """Mutates the best of a random few of the latest candidates (Real et al., AAAI 2019).

    The paper's population of 100 is meant for thousands of trainings; hundreds would end with it.
    """

    population, tournament, first = 25, 8, 25

    def __init__(self, problem: Problem, budget: int, seed: int) -> None:
        self._problem, self._rng = problem, np.random.default_rng(seed)
        self._matrix: list[Matrix] = []
        self._values: list[Array] = []

    def ask(self) -> Matrix:
        if len(self._matrix) < self.first:
            return self._problem.sample(1, self._rng)
        matrix, values = self._candidates()
        few = self._rng.choice(len(matrix), min(self.tournament, len(matrix)), replace=False)
        best = few[np.argmax(scalarisation(values, self._rng)(values[few]))]
        return feasible_mutant(self._problem, matrix[best], self._rng)

    def tell(self, matrix: Matrix, values: Array) -> None:
        self._matrix.extend(matrix[:, None])
        self._values.extend(values[:, None])

    def _candidates(self) -> tuple[Matrix, Array]:
        return (
            np.concatenate(self._matrix[-self.population :]),
            np.concatenate(self._values[-self.population :]),
        )


class LocalMutation(AgingEvolution):
    """Mutates the best candidate so far."""

    tournament, first, population = 1_000_000, 10, 1_000_000


def feasible_mutant(problem: Problem, parent: Array, rng: np.random.Generator) -> Matrix:
    """The first mutant [1, d] of a candidate [d] within the limits; a random candidate if none is."""
    mutants = mutate(problem.domain, np.repeat(parent[None], _ATTEMPTS, axis=0), rng)
    mutants = mutants[problem.feasible(mutants) & (mutants != parent).any(axis=1)]
    return mutants[:1] if len(mutants) else problem.sample(1, rng)
