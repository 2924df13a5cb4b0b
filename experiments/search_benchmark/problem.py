"""Problems to search: `Problem` is what an optimizer is told, `Task` what only the benchmark knows."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from nars.errors import InfeasibleError
from nars.space.genotypes import Domain, Matrix, sample

__all__ = ["Array", "Problem", "Task"]

Array = NDArray[np.float64]
"""Floating point numbers."""

Direction = Literal["minimize", "maximize"]
"""Whether an objective should be small or large, in Optuna's words."""

_ATTEMPTS = 200
"""Random candidates per wanted one before a limit counts as impossible."""


@dataclass(frozen=True)
class Problem:
    """The part of a task that an optimizer is told."""

    domain: Domain
    limits: Mapping[str, float] = field(default_factory=dict)
    """Statistic -> its largest allowed value; statistics are known without training."""
    cost: str | None = None
    """Statistic to minimize besides the score, for problems with two objectives."""

    @property
    def directions(self) -> list[Direction]:
        return ["maximize"] if self.cost is None else ["maximize", "minimize"]

    def violations(self, matrix: Matrix) -> dict[str, Array]:
        """For each limit, the share [n] by which candidates exceed it; 0 or less is feasible."""
        statistics = self.domain.statistics(matrix) if self.limits else {}
        return {name: statistics[name] / limit - 1 for name, limit in self.limits.items()}

    def feasible(self, matrix: Matrix) -> NDArray[np.bool_]:
        """Whether each candidate [n] is within every limit."""
        within = np.ones(len(matrix), bool)
        for violation in self.violations(matrix).values():
            within &= violation <= 0
        return within

    def sample(self, n: int, rng: np.random.Generator) -> Matrix:
        """`n` candidates [n, d] within the limits, uniformly at random.

        Raises `InfeasibleError` if none of very many is within them.
        """
        found: list[Matrix] = []
        drawn = kept = 0
        while kept < n:
            if drawn >= _ATTEMPTS * max(n, 1000) and kept == 0:
                raise InfeasibleError(f"none of {drawn} random candidates is within {dict(self.limits)}")
            share = max(kept / drawn, 0.02) if drawn else 1.0
            batch = sample(self.domain, min(int(1.1 * (n - kept) / share) + 8, 200_000), rng, quasi=False)
            batch, drawn = batch[self.feasible(batch)], drawn + len(batch)
            found.append(batch)
            kept += len(batch)
        return np.concatenate(found)[:n] if found else sample(self.domain, 0, rng, quasi=False)

    def values(self, matrix: Matrix, scores: Array) -> Array:
        """Objectives [n, k], one column for each of `directions`."""
        columns = [scores] if self.cost is None else [scores, self.domain.statistics(matrix)[self.cost]]
        return np.stack(columns, axis=1)


@dataclass(frozen=True)
class Task:
    """A problem with its true and observed scores."""

    name: str
    problem: Problem
    truth: Callable[[Matrix], Array]
    """The score [n] of candidates [n, d] without noise; larger is better."""
    train: Callable[[Matrix, np.random.Generator], tuple[Array, Array]]
    """Trains each candidate once; returns the scores [n] of `truth` and the observed scores [n]."""
    source: str
    """Changes with the data behind the scores; part of the key of what is cached."""
    half: Literal["open", "held-out"] = "open"
    """Held-out tasks are not looked at while a sampler is being improved."""

    def variant(
        self, name: str, *, limits: Mapping[str, float] | None = None, cost: str | None = None
    ) -> Task:
        """The same scores under other limits, or with a second objective."""
        return replace(self, name=name, problem=Problem(self.problem.domain, limits or {}, cost))
