"""NAS-Bench-Macro: 3^8 networks, each trained three times on CIFAR-10. Architecture only.

The observation is one of the three test accuracies, drawn at random; the truth is their mean.
Source: xiusu/NAS-Bench-Macro (Su et al., CVPR 2021), Apache-2.0.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from optuna.distributions import CategoricalDistribution

from experiments.search_benchmark.problem import Array, Problem, Task
from experiments.search_benchmark.tasks.table import PlainDomain, digest, read_parquet
from nars.space.genotypes import Matrix

__all__ = ["NAMES", "load"]

NAMES = ("macro", "macro-40M", "macro-pareto")
"""The tasks of this family."""

_LAYERS = 8
"""Layers of a network."""

_BLOCKS = ["identity", "mbconv_k3_e3", "mbconv_k5_e6"]
"""Choices for a layer, in the table's order."""


def load(name: str, data_root: Path) -> Task:
    """One of `NAMES`. Raises `DataError` if the table is absent."""
    path = data_root / "nas" / "nasbench_macro_cifar10.parquet"
    table = read_parquet(path).sort_values("arch", ignore_index=True)
    seeds = table[[f"test_acc_seed{i}" for i in range(3)]].to_numpy(np.float64)
    means = seeds.mean(axis=1)
    costs = {key: table[key].to_numpy(np.float64) for key in ("flops", "params")}

    def statistics(matrix: Matrix) -> dict[str, Array]:
        rows = _rows(matrix)
        return {"macs": costs["flops"][rows], "params": costs["params"][rows]}

    def train(matrix: Matrix, rng: np.random.Generator) -> tuple[Array, Array]:
        rows = _rows(matrix)
        return means[rows], seeds[rows, rng.integers(3, size=len(matrix))]

    layers = {f"layer{i}": CategoricalDistribution(_BLOCKS) for i in range(_LAYERS)}
    domain = PlainDomain(layers, statistics_of=statistics)
    task = Task("macro", Problem(domain), lambda matrix: means[_rows(matrix)], train, digest(path))
    limits = {"macs": 40e6} if name == "macro-40M" else None
    return task.variant(name, limits=limits, cost="macs" if name == "macro-pareto" else None)


def _rows(matrix: Matrix) -> NDArray[np.int64]:
    """Rows [n] of the table, which is sorted by ternary code."""
    return (matrix @ 3.0 ** np.arange(_LAYERS - 1, -1, -1)).astype(np.int64)
