"""The one interface that every optimizer is driven through."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from experiments.search_benchmark.problem import Array, Problem
from nars.space.genotypes import Matrix

__all__ = ["Opponent", "Optimizer", "always", "scalarisation", "single_objective"]


class Optimizer(ABC):
    """Proposes candidates, is told what training them gave, proposes again."""

    rejected: int = 0
    """Proposals that were beyond a limit and so were replaced before anything was trained."""

    @abstractmethod
    def ask(self) -> Matrix:
        """The next candidates to train [b, d], at least one, all within the limits."""

    @abstractmethod
    def tell(self, matrix: Matrix, values: Array) -> None:
        """The objectives [b, k] measured for the candidates of the last `ask`, or for its first few."""


def always(problem: Problem) -> bool:
    """Serves optimizers that take any problem."""
    return True


def single_objective(problem: Problem) -> bool:
    """Whether there is one objective, for optimizers that take no more."""
    return problem.cost is None


_EVERY = 100_000
"""More trainings than any budget has."""


@dataclass(frozen=True)
class Opponent:
    """How to make an optimizer, and how much of the benchmark it takes part in."""

    make: Callable[[Problem, int, int], Optimizer]
    """Makes the optimizer for a problem, a budget of trainings and a seed."""
    applies: Callable[[Problem], bool] = always
    most_seeds: int = 1000
    most_budget: int = _EVERY
    """Slow opponents run with fewer seeds, and not to the end."""
    long_seeds: int = 0
    """Seeds of a slow opponent that run to the end as well."""
    variant: bool = False
    """`nars` without one of its parts: for the table of ablations, not among the opponents."""

    @property
    def slow(self) -> bool:
        """Whether it takes part in less than the whole benchmark; then it has a table of its own."""
        return self.most_budget < _EVERY and not self.variant


def scalarisation(values: Array, rng: np.random.Generator) -> Callable[[Array], Array]:
    """A function from objectives [n, k] (score up, cost down) to one number [n] to maximize.

    With two objectives that is the augmented Chebyshev distance to the best of each, in units of the range
    of `values` [m, 2] and under a random weight, as in ParEGO (Knowles, 2006).
    """
    if values.shape[1] == 1:
        return lambda measured: measured[:, 0]
    best = np.array([values[:, 0].max(), values[:, 1].min()])
    spread = np.maximum(np.ptp(values, axis=0), 1e-12) * [-1, 1]
    weight = rng.random()

    def scalar(measured: Array) -> Array:
        losses = (measured - best) / spread * [weight, 1 - weight]
        return np.asarray(-(losses.max(axis=1) + 0.05 * losses.sum(axis=1)))

    return scalar
