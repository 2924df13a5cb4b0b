"""References for the scores of a task: the best candidate, a typical one, and random search.

The search for the best knows the truth: it draws a large random sample and climbs from its best
candidates. The expected result of random search follows from the same sample without running it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.special import gammaln

from experiments.search_benchmark.problem import Array, Task
from nars.space.genotypes import Matrix, mutate

__all__ = ["RANDOM_BEST_OF", "Reference", "hypervolume", "nondominated", "reference"]

RANDOM_BEST_OF = (256, 1000, 10_000)
"""Numbers of random candidates whose expected best is computed."""

_SAMPLE = 100_000
"""Random candidates in the sample."""

_KEPT, _CHILDREN, _ROUNDS = 64, 16, 40
"""Climbing: candidates kept per round, mutants of each, and rounds."""

_VERSION = 1
"""Version of the cached results. Raise it if a change of this file changes them."""


@dataclass(frozen=True)
class Reference:
    best: float
    """The best score known within the limits."""
    typical: float
    """The mean score of random candidates within the limits."""
    random_best_of: Mapping[str, float]
    """Number of random candidates -> expected true score of the best among them."""
    largest_cost: float = 0.0
    """Largest cost of a random candidate, for tasks with two objectives."""
    front_volume: float = 1.0
    """Hypervolume of the best known front, for tasks with two objectives."""

    def regret(self, score: float) -> float:
        """Normalized regret: 0 for the best candidate, 1 for a typical random one."""
        return (self.best - score) / (self.best - self.typical)

    def volume(self, values: Array) -> float:
        """Hypervolume of a set of (score, cost) [n, 2] as a share of the best known front's."""
        return hypervolume(self._unit(values)) / self.front_volume

    def _unit(self, values: Array) -> Array:
        score = (values[:, 0] - self.typical) / (self.best - self.typical)
        return np.stack([score, 1 - values[:, 1] / self.largest_cost], axis=1)


def reference(task: Task, cache: Path) -> Reference:
    """The reference of a task, computed once per task and data and kept in the folder `cache`."""
    limits = "".join(f"-{name}{limit:g}" for name, limit in task.problem.limits.items())
    key = f"{task.name}-{task.problem.domain.fingerprint}-{task.source}{limits}-v{_VERSION}"
    file = cache / f"{key}.json"
    if file.exists():
        return Reference(**json.loads(file.read_text()))
    found = _compute(task)
    cache.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps(asdict(found), indent=1))
    return found


def nondominated(values: Array) -> NDArray[np.int64]:
    """Indices of the front of (score up, cost down) [n, 2], the best score first."""
    order = np.lexsort((values[:, 1], -values[:, 0]))
    lowest = np.minimum.accumulate(np.concatenate([[np.inf], values[order, 1]]))[:-1]
    return np.asarray(order[values[order, 1] < lowest])


def hypervolume(points: Array) -> float:
    """Area above the origin that points [n, 2] dominate; both columns are to be maximized."""
    points = points[(points > 0).all(axis=1)]
    points = points[np.argsort(-points[:, 0])]
    heights = np.maximum.accumulate(np.concatenate([[0.0], points[:, 1]]))
    return float((points[:, 0] * np.diff(heights)).sum())


def _compute(task: Task) -> Reference:
    rng = np.random.default_rng(0)
    sample = task.problem.sample(_SAMPLE, rng)
    scores = task.truth(sample)
    values = task.problem.values(sample, scores)
    climbed = _climb(task, sample, values, rng)
    typical = float(scores.mean())
    expected = {str(n): _expected_best(scores, n) for n in RANDOM_BEST_OF}
    if task.problem.cost is None:
        return Reference(float(climbed.max()), typical, expected)
    whole = Reference(float(climbed[:, 0].max()), typical, expected, float(values[:, 1].max()))
    return Reference(**asdict(whole) | {"front_volume": whole.volume(climbed)})


def _climb(task: Task, sample: Matrix, values: Array, rng: np.random.Generator) -> Array:
    """Mutate the best candidates, round after round; return the objectives [m, k] of the last best."""
    best, values = _keep(sample, values)
    for round_ in range(_ROUNDS):
        rate = None if round_ % 2 else 2 / sample.shape[1]
        children = mutate(task.problem.domain, np.repeat(best, _CHILDREN, axis=0), rng, rate)
        children = children[task.problem.feasible(children)]
        new = task.problem.values(children, task.truth(children))
        best, values = _keep(np.concatenate([best, children]), np.concatenate([values, new]))
    return values


def _keep(matrix: Matrix, values: Array) -> tuple[Matrix, Array]:
    """The best distinct candidates, or the front of two objectives."""
    matrix, first = np.unique(matrix, axis=0, return_index=True)
    values = values[first]
    kept = np.argsort(-values[:, 0])[:_KEPT] if values.shape[1] == 1 else nondominated(values)
    return matrix[kept], values[kept]


def _expected_best(scores: Array, n: int) -> float:
    """Expected maximum of `n` scores drawn without replacement."""
    ordered = np.sort(scores)
    total = len(ordered)
    rank = np.arange(n, total + 1)  # the maximum may be the rank-th smallest of all
    log_share = gammaln(rank) - gammaln(rank - n + 1) - (gammaln(total + 1) - gammaln(total - n + 1))
    return float((ordered[n - 1 :] * n * np.exp(log_share)).sum())
