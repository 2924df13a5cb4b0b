"""Predictor-based evolutionary search: Optuna's NSGA-II, a whole generation at a time.

Optuna's own sampler makes one candidate per trial and scans the study for each, which takes
longer than the predictor by orders of magnitude. The steps of its algorithm (Deb et al., IEEE TEC
2002) are here on matrices: binary tournament by rank and crowding, uniform crossover, mutation,
and the best of parents and children survive.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nars.errors import InfeasibleError
from nars.sampling.pareto import best_first, hypervolume
from nars.space.genotypes import Domain, Matrix, crossover, mutate, sample

__all__ = ["Evolution", "Population", "evolve"]

Floats = NDArray[np.float64]

_CROSSOVER = 0.9
"""Probability that a child has two parents; the others only mutate (Optuna's default)."""

_ATTEMPTS = 16
"""How often a generation is drawn in search of feasible children that nobody has scored."""

_DRAWS = 4096
"""Random candidates drawn at a time to fill up the first population."""

_GAIN = 1e-3
"""Smallest relative growth of the hypervolume that counts as progress."""


@dataclass(frozen=True)
class Population:
    """Genotypes and their scores."""

    matrix: Matrix
    """[n, d]."""
    scores: Floats
    """[n, k]; larger is better in each objective."""

    def __len__(self) -> int:
        return len(self.matrix)

    def where(self, kept: NDArray[np.bool_] | NDArray[np.int64]) -> Population:
        """The members that a mask [n] or numbers select."""
        return Population(self.matrix[kept], self.scores[kept])

    def best(self, count: int) -> Population:
        """The best `count` by rank, and by crowding distance within a rank, best first."""
        return self.where(best_first(self.scores, count))

    @classmethod
    def joined(cls, parts: Sequence[Population]) -> Population:
        """The members of all `parts`, one part after the other."""
        return cls(
            np.concatenate([part.matrix for part in parts]), np.concatenate([part.scores for part in parts])
        )


@dataclass(frozen=True)
class Evolution:
    """The result of an evolutionary search."""

    population: Population
    """The last one: feasible, without repetition, best first."""
    scored: Population
    """Everything that was scored, in order."""
    generations: int
    evaluations: int


def evolve(
    domain: Domain,
    score: Callable[[Matrix], Floats],
    *,
    start: Matrix,
    feasible: Callable[[Matrix], NDArray[np.bool_]],
    rng: np.random.Generator,
    population: int = 128,
    max_evaluations: int = 10_000,
    patience: int = 10,
) -> Evolution:
    """Genotypes of `domain` that maximize `score`, found from `start` [m, d] and random ones.

    `score` takes feasible genotypes only and gives [n, k] for k objectives; genotypes whose scores
    are not finite are dropped. The search ends when `patience` generations bring no progress of the
    hypervolume (of the best score, with one objective), when there are no new feasible children, or
    after `max_evaluations`. Raises `InfeasibleError` if neither `start` nor many random genotypes
    hold a feasible one.
    """
    search = _Search(domain, score, feasible, max_evaluations)
    parents = search.rate(_first(search, start, population, rng)).best(population)
    reference = parents.scores.min(axis=0, initial=np.inf)
    best, waited, generations = hypervolume(parents.scores, reference), 0, 1
    while waited < patience and len(parents) and search.evaluations_left:
        children = _children(search, parents, population, rng)
        if not len(children):
            break
        parents = Population.joined([parents, search.rate(children)]).best(population)
        generations += 1
        volume = hypervolume(parents.scores, reference)
        waited = 0 if volume > best * (1 + _GAIN) else waited + 1
        best = max(best, volume) if waited == 0 else best
    return Evolution(parents, Population.joined(search.rated), generations, search.evaluations)


class _Search:
    """The score with its bounds: counts evaluations and hands no genotype out twice."""

    def __init__(
        self,
        domain: Domain,
        score: Callable[[Matrix], Floats],
        feasible: Callable[[Matrix], NDArray[np.bool_]],
        max_evaluations: int,
    ) -> None:
        self.domain = domain
        self.evaluations = 0
        self.rated: list[Population] = []
        self._score = score
        self._feasible = feasible
        self._max_evaluations = max_evaluations
        self._seen: set[bytes] = set()

    @property
    def evaluations_left(self) -> int:
        return self._max_evaluations - self.evaluations

    def new(self, matrix: Matrix, limit: int) -> Matrix:
        """The first `limit` rows, at most, that are feasible and were not given before; all will be rated."""
        kept: list[Floats] = []
        for row in matrix[self._feasible(matrix)] if len(matrix) else matrix:
            if len(kept) == limit or not self.evaluations_left:
                break
            if (key := row.tobytes()) not in self._seen:
                self._seen.add(key)
                self.evaluations += 1
                kept.append(row)
        return np.array(kept).reshape(len(kept), matrix.shape[1])

    def rate(self, matrix: Matrix) -> Population:
        """The genotypes with finite scores."""
        scores = np.asarray(self._score(matrix), dtype=np.float64)
        finite = np.asarray(np.isfinite(scores).all(axis=1))
        rated = Population(matrix, scores).where(finite)
        self.rated.append(rated)
        return rated


def _first(search: _Search, start: Matrix, population: int, rng: np.random.Generator) -> Matrix:
    """All feasible genotypes of `start`, filled up to `population` with random ones."""
    first = search.new(search.domain.canonical(start), len(start))
    for _ in range(_ATTEMPTS):
        missing = population - len(first)
        if missing <= 0:
            break
        drawn = sample(search.domain, max(_DRAWS, population), rng, quasi=False)
        first = np.concatenate([first, search.new(drawn, missing)])
    if not len(first):
        raise InfeasibleError(f"none of {_ATTEMPTS * max(_DRAWS, population)} random candidates is feasible")
    return first


def _children(search: _Search, parents: Population, size: int, rng: np.random.Generator) -> Matrix:
    """Up to `size` new feasible genotypes [n, d]."""
    children = parents.matrix[:0]
    for _ in range(_ATTEMPTS):
        missing = size - len(children)
        if missing <= 0 or not search.evaluations_left:
            break
        a, b = _tournament(parents, size, rng), _tournament(parents, size, rng)
        crossed = rng.random((size, 1)) < _CROSSOVER
        drawn = np.where(crossed, crossover(search.domain, a, b, rng), a)
        children = np.concatenate([children, search.new(mutate(search.domain, drawn, rng), missing)])
    return children


def _tournament(parents: Population, size: int, rng: np.random.Generator) -> Matrix:
    """The better of two random parents, `size` times; parents come best first."""
    winners = rng.integers(len(parents), size=(size, 2)).min(axis=1)
    return np.asarray(parents.matrix[winners])
