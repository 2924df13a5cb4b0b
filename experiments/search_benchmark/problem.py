"""What is searched: the part that an optimizer is told, and the part that only the benchmark knows."""

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
Direction = Literal["minimize", "maximize"]
_ATTEMPTS = 200


@dataclass(frozen=True)
class Problem:
    """What an optimizer is told."""

    domain: Domain
    limits: Mapping[str, float] = field(default_factory=dict)
    """Largest allowed value of a statistic, which is known without training."""
    cost: str | None = None
    """A statistic to minimise beside the score, for problems with two objectives."""

    @property
    def directions(self) -> list[Direction]:
        return ["maximize"] if self.cost is None else ["maximize", "minimize"]

    def violations(self, matrix: Matrix) -> dict[str, Array]:
        """For each limit, by which share every candidate [n] exceeds it; 0 or less is feasible."""
        statistics = self.domain.statistics(matrix) if self.limits else {}
        return {name: statistics[name] / limit - 1 for name, limit in self.limits.items()}

    def feasible(self, matrix: Matrix) -> NDArray[np.bool_]:
        """Which candidates [n] are within every limit."""
        within = np.ones(len(matrix), bool)
        for violation in self.violations(matrix).values():
            within &= violation <= 0
        return within

    def sample(self, n: int, rng: np.random.Generator) -> Matrix:
        """`n` candidates within the limits, uniformly at random.

        Raises `InfeasibleError` where not one of many is.
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
    """A problem with its answers."""

    name: str
    problem: Problem
    truth: Callable[[Matrix], Array]
    """The score [n] of candidates [n, d] without noise; larger is better."""
    train: Callable[[Matrix, np.random.Generator], tuple[Array, Array]]
    """Trains each candidate once: its score [n] by `truth`, and the one [n] that the training gave."""
    source: str
    """Changes with the data behind the answers; what is cached is cached for this."""
    half: Literal["open", "held-out"] = "open"
    """Held-out tasks are not looked at while a sampler is being improved."""

    def variant(
        self, name: str, *, limits: Mapping[str, float] | None = None, cost: str | None = None
    ) -> Task:
        """The same answers under other limits, or with a second objective."""
        return replace(self, name=name, problem=Problem(self.problem.domain, limits or {}, cost))
