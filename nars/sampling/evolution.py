"""Predictor-based evolutionary search: Optuna's NSGA-II, a whole generation at a time.

Optuna's own sampler makes one candidate per trial and scans the study for each, which takes
longer than the predictor by orders of magnitude. The steps of its algorithm (Deb et al., IEEE TEC
2002) are here on matrices: binary tournament by rank and crowding, uniform crossover, mutation,
and the best of parents and children survive. Ranks and hypervolumes are Optuna's.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nars.errors import InfeasibleError
from nars.internals import hypervolume, non_domination_ranks
from nars.sampling.pareto import crowding
from nars.space.genotypes import Domain, Matrix, crossover, mutate, sample

__all__ = ["Evolution", "best_first", "evolve"]

Floats = NDArray[np.float64]

CROSSOVER = 0.9
"""Probability that a child has two parents; the others only mutate (Optuna's default)."""
ATTEMPTS = 16
"""Times a generation is drawn in search of feasible children that nobody has scored."""
DRAWS = 4096
GAIN = 1e-3
"""Smallest relative growth of the hypervolume that counts as progress."""


@dataclass(frozen=True)
class Evolution:
    """What a search found: the last population, feasible and without repetition, best first."""

    matrix: Matrix
    scores: Floats
    """[n], or [n, objectives]; larger is better."""
    scored: tuple[Matrix, Floats]
    """All that was scored, and how."""
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
    """Genotypes of `domain` that maximise `score`, found from `start` [m, d] and random ones.

    `score` takes feasible genotypes only and gives [n], or [n, k] for a front of k objectives;
    what it scores as not finite is dropped. The search ends when `patience` generations bring no
    progress of the best score (of the front's hypervolume), or no new feasible children, or after
    `max_evaluations`. Raises `InfeasibleError` where neither `start` nor many random genotypes hold
    a feasible one.
    """
    search = _Search(domain, score, feasible, max_evaluations)
    parents = search.rate(_first(search, start, population, rng)).survivors(population)
    reference = parents.scores.min(axis=0, initial=np.inf)
    best, waited, generations = parents.hypervolume(reference), 0, 1
    while waited < patience and len(parents) and search.left:
        children = _children(search, parents, population, rng)
        if not len(children):
            break
        parents = parents.joined(search.rate(children)).survivors(population)
        generations += 1
        volume = parents.hypervolume(reference)
        waited = 0 if volume > best * (1 + GAIN) else waited + 1
        best = max(best, volume) if waited == 0 else best
    every = _Population(*map(np.concatenate, zip(*search.rated, strict=True)))
    return Evolution(
        parents.matrix,
        search.as_given(parents.scores),
        (every.matrix, search.as_given(every.scores)),
        generations,
        search.evaluations,
    )


def best_first(matrix: Matrix, scores: Floats, n: int) -> Matrix:
    """The best `n` of genotypes [m, d] by scores [m, k], as the evolution ranks them."""
    return _Population(matrix, scores).survivors(n).matrix


@dataclass(frozen=True)
class _Population:
    """Genotypes [n, d] and scores [n, k], in no order until `survivors` gives them one."""

    matrix: Matrix
    scores: Floats

    def __len__(self) -> int:
        return len(self.matrix)

    def joined(self, other: _Population) -> _Population:
        return _Population(
            np.concatenate([self.matrix, other.matrix]), np.concatenate([self.scores, other.scores])
        )

    def survivors(self, size: int) -> _Population:
        """The best by rank, and by crowding distance within a rank, best first."""
        if self.scores.shape[1] == 1:
            order = np.argsort(-self.scores[:, 0], kind="stable")[:size]
        elif not len(self):
            return self
        else:
            ranks = non_domination_ranks(-self.scores, size)
            order = np.lexsort((-crowding(self.scores, ranks), ranks))[:size]
        return _Population(self.matrix[order], self.scores[order])

    def hypervolume(self, reference: Floats) -> float:
        """What the scores dominate above `reference` [k]; the best score above it where k is 1."""
        if not len(self):
            return 0.0
        return hypervolume(np.minimum(-self.scores, -reference), -reference)


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
        self.single = True
        self._score = score
        self._feasible = feasible
        self._max_evaluations = max_evaluations
        self._seen: set[bytes] = set()
        self.rated: list[tuple[Matrix, Floats]] = []

    @property
    def left(self) -> int:
        return self._max_evaluations - self.evaluations

    def new(self, matrix: Matrix, limit: int) -> Matrix:
        """The first `limit` rows, at most, that are feasible and were not given before; all will be rated."""
        kept: list[Floats] = []
        for row in matrix[self._feasible(matrix)] if len(matrix) else matrix:
            if len(kept) == limit or not self.left:
                break
            if (key := row.tobytes()) not in self._seen:
                self._seen.add(key)
                self.evaluations += 1
                kept.append(row)
        return np.array(kept).reshape(len(kept), matrix.shape[1])

    def rate(self, matrix: Matrix) -> _Population:
        scores = np.asarray(self._score(matrix), dtype=np.float64)
        self.single = scores.ndim == 1
        scores = scores.reshape(len(matrix), -1) if len(matrix) else scores.reshape(0, 1)
        valid = np.isfinite(scores).all(axis=1)
        self.rated.append((matrix[valid], scores[valid]))
        return _Population(matrix[valid], scores[valid])

    def as_given(self, scores: Floats) -> Floats:
        """Scores [n, k] in the form in which they came."""
        return scores[:, 0] if self.single else scores


def _first(search: _Search, start: Matrix, population: int, rng: np.random.Generator) -> Matrix:
    """All feasible of `start`, filled up to `population` with random ones."""
    found = search.new(search.domain.canonical(start), len(start))
    for _ in range(ATTEMPTS):
        missing = population - len(found)
        if missing <= 0:
            break
        drawn = sample(search.domain, max(DRAWS, population), rng, quasi=False)
        found = np.concatenate([found, search.new(drawn, missing)])
    if not len(found):
        raise InfeasibleError(f"none of {ATTEMPTS * max(DRAWS, population)} random candidates is feasible")
    return found


def _children(search: _Search, parents: _Population, size: int, rng: np.random.Generator) -> Matrix:
    """Up to `size` new feasible genotypes [n, d]."""
    found = parents.matrix[:0]
    for _ in range(ATTEMPTS):
        missing = size - len(found)
        if missing <= 0 or not search.left:
            break
        a, b = _tournament(parents, size, rng), _tournament(parents, size, rng)
        crossed = rng.random((size, 1)) < CROSSOVER
        drawn = np.where(crossed, crossover(search.domain, a, b, rng), a)
        found = np.concatenate([found, search.new(mutate(search.domain, drawn, rng), missing)])
    return found


def _tournament(parents: _Population, size: int, rng: np.random.Generator) -> Matrix:
    """The better of two random survivors, `size` times; their order is their fitness."""
    winners = rng.integers(len(parents), size=(size, 2)).min(axis=1)
    return np.asarray(parents.matrix[winners])
