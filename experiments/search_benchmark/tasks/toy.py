"""A task with a known optimum, to catch mistakes: choices, integers, a rate and one interaction.

The best kernel of every layer is 5 and the best width is 5; larger ones cost more and are no better. The
best learning rate is 0.1 for a shallow network and 0.03 for a deep one, so that architecture and recipe
have to be searched together.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

from experiments.search_benchmark.problem import Array, Problem, Task
from experiments.search_benchmark.tasks.table import PlainDomain
from nars.space.genotypes import Matrix

__all__ = ["BEST", "LIMIT", "NAMES", "load"]

NAMES = ("toy", "toy-limit", "toy-pareto")
"""The tasks of this family."""

BEST = 1.0
"""The score at widths 5, kernels 5, depth 3, rate 0.03; its MACs are 375."""

LIMIT = 250.0
"""Most MACs of the task with a limit."""

_NOISE = 0.01
"""Standard deviation of an observed score."""

_DIMENSIONS = {
    **{f"layer{i}.kernel": CategoricalDistribution([3, 5, 7]) for i in range(4)},
    "width": IntDistribution(1, 8),
    "depth": IntDistribution(1, 4),
    "recipe.lr": FloatDistribution(1e-3, 1.0, log=True),
    "recipe.optimizer": CategoricalDistribution(["sgd", "adam", "rmsprop"]),
}
"""Dimensions by name; the columns of a matrix are in this order."""


def load(name: str, data_root: Path) -> Task:
    """One of `NAMES`; it needs no data."""
    domain = PlainDomain(_DIMENSIONS, canonical_of=_canonical, statistics_of=_statistics)
    task = Task("toy", Problem(domain), _truth, _train, source="1")
    limits = {"macs": LIMIT} if name == "toy-limit" else None
    return task.variant(name, limits=limits, cost="macs" if name == "toy-pareto" else None)


def _canonical(matrix: Matrix) -> Matrix:
    """Genotypes [n, d] with kernels beyond the depth at their first value."""
    absent = np.arange(4) >= matrix[:, 5:6]
    return np.concatenate([np.where(absent, 0.0, matrix[:, :4]), matrix[:, 4:]], axis=1)


def _statistics(matrix: Matrix) -> dict[str, Array]:
    present = np.arange(4) < matrix[:, 5:6]
    kernels = 2 * matrix[:, :4] + 3
    return {"macs": ((kernels * present).sum(axis=1) * matrix[:, 4] ** 2).astype(np.float64)}


def _truth(matrix: Matrix) -> Array:
    width, depth, lr, optimizer = matrix[:, 4:].T
    present = np.arange(4) < matrix[:, 5:6]
    kernels = (np.abs(matrix[:, :4] - 1) * present).sum(axis=1) / depth
    best_lr = np.where(depth >= 3, np.log10(0.03), -1.0)
    loss = 0.2 * kernels + 0.02 * (width - 5) ** 2 + 0.1 * (depth - 3) ** 2
    loss += 0.15 * (np.log10(lr) - best_lr) ** 2 + 0.1 * (optimizer > 0)
    return np.asarray(BEST - loss, dtype=np.float64)


def _train(matrix: Matrix, rng: np.random.Generator) -> tuple[Array, Array]:
    scores = _truth(matrix)
    return scores, scores + rng.normal(0, _NOISE, len(matrix))
