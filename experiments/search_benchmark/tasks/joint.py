"""Our own joint tables: candidates of the `micro` space, architecture and recipe, really trained.

The truth is a Gaussian process fitted to the accuracies of experiments/joint_table; the noise
put back on top is what repeated trainings with another seed showed.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
import pandas as pd
from scipy.optimize import minimize
from scipy.special import expit, logit

from experiments.joint_table import CANDIDATES, table_space
from experiments.search_benchmark import gaussian_process
from experiments.search_benchmark.gaussian_process import GaussianProcess
from experiments.search_benchmark.problem import Array, Problem, Task
from experiments.search_benchmark.tasks.table import digest
from nars.errors import DataError
from nars.genotypes import Domain, Matrix, features, from_genotypes, is_architecture_feature, width

__all__ = ["FOLDER", "NAMES", "Noise", "Surrogate", "load", "matrix_of"]

FOLDER = Path(__file__).parents[2] / "joint_table"
_LIMIT = 2e6  # a sixth of random candidates are below
_EDGE = 0.0014
NAMES = tuple(f"micro-{data}{kind}" for data in ("digits", "fashion") for kind in ("", "-2M", "-pareto"))


def load(name: str, data_root: Path) -> Task:
    table = "-".join(name.split("-")[:2])
    path = FOLDER / f"{table}.csv.gz"
    if not path.exists():
        raise DataError(f"no table {path.name}: run python -m experiments.joint_table.train {table}")
    surrogate = _surrogate(path)
    if surrogate.candidates < CANDIDATES:
        raise DataError(
            f"{path.name} has {surrogate.candidates} of {CANDIDATES} candidates: go on with it first"
        )

    task = Task(table, Problem(surrogate.domain), surrogate.score, surrogate.observe, digest(path))
    limits = {"macs": _LIMIT} if name.endswith("-2M") else None
    return task.variant(name, limits=limits, cost="macs" if name.endswith("-pareto") else None)


@dataclass(frozen=True)
class Noise:
    """Standard deviation of the log odds between trainings of one candidate that differ in the seed.

    It is log-linear in the candidate's log odds: seeds of good candidates differ less than those of bad ones.
    Outside of what was measured it is that of the nearest end.
    """

    log_sd: float
    slope: float
    low: float
    high: float

    @classmethod
    def fit(cls, means: Array, variances: Array, freedom: Array) -> Noise:
        """By maximum likelihood from the log odds [n] of repeated candidates; 0 where there are none."""
        if not len(means):
            return cls(-np.inf, 0.0, 0.0, 0.0)

        def loss(line: Array) -> float:
            log_sd = line[0] + line[1] * means
            return float((freedom * (log_sd + variances * np.exp(-2 * log_sd) / 2)).sum())

        start = np.array([np.log(variances.mean() + 1e-12) / 2, 0.0])
        log_sd, slope = minimize(loss, start, method="Nelder-Mead").x
        return cls(float(log_sd), float(slope), float(means.min()), float(means.max()))

    def __call__(self, odds: Array) -> Array:
        return np.asarray(np.exp(self.log_sd + self.slope * np.clip(odds, self.low, self.high)))


@dataclass(frozen=True)
class Surrogate:
    """Accuracy in per cent from the architecture, the recipe and log MACs: a process of its log odds.

    Accuracies near 100 and those of trainings that failed are then on one scale, and so is their noise.
    """

    domain: Domain
    process: GaussianProcess
    noise: Noise
    candidates: int

    @classmethod
    def fit(cls, domain: Domain, table: pd.DataFrame) -> Surrogate:
        """`table` has a column for every dimension, ``seed`` and ``accuracy`` in 0..1."""
        matrix, odds = matrix_of(domain, table), logit(_inside(table["accuracy"].to_numpy(np.float64)))
        _, first, group = np.unique(matrix, axis=0, return_index=True, return_inverse=True)
        counts = np.bincount(group)
        means = np.bincount(group, odds) / counts
        squares = np.bincount(group, (odds - means[group]) ** 2)
        twice = counts > 1
        noise = Noise.fit(means[twice], squares[twice] / (counts[twice] - 1), counts[twice] - 1)
        groups = _groups(domain, matrix[first])
        hyper = gaussian_process.fit_hyperparameters(groups, means)
        return cls(domain, gaussian_process.fit(groups, means, hyper), noise, len(means))

    def score(self, matrix: Matrix) -> Array:
        return 100 * expit(self._odds(matrix))

    def observe(self, matrix: Matrix, rng: np.random.Generator) -> Array:
        odds = self._odds(matrix)
        return 100 * expit(odds + self.noise(odds) * rng.normal(size=len(matrix)))

    def _odds(self, matrix: Matrix) -> Array:
        return self.process.predict(_groups(self.domain, self.domain.canonical(matrix)))


def _inside(accuracy: Array) -> Array:
    """0 and 1 have no odds; half an image of the digits away from them, they have."""
    return np.asarray(np.clip(accuracy, _EDGE, 1 - _EDGE))


def matrix_of(domain: Domain, table: pd.DataFrame) -> Matrix:
    """The candidates [n, d] of a table's rows."""
    names = list(domain.distributions)
    genotypes = [dict(zip(names, row, strict=True)) for row in table[names].itertuples(index=False)]
    return domain.canonical(from_genotypes(domain, genotypes))


@cache
def _surrogate(path: Path) -> Surrogate:
    return Surrogate.fit(table_space(), pd.read_csv(path, keep_default_na=False))


def _groups(domain: Domain, matrix: Matrix) -> list[Array]:
    """The architecture, every dimension of the recipe by itself (few matter, and much), and log MACs."""
    encoded, architecture = features(domain, matrix).astype(np.float64), is_architecture_feature(domain)
    dimensions = domain.distributions.items()
    recipe = [width(dist) for name, dist in dimensions if name.startswith("recipe.")]
    macs = np.log(domain.statistics(matrix)["macs"])[:, None]
    apart = np.split(encoded[:, ~architecture], np.cumsum(recipe)[:-1], axis=1)
    return [encoded[:, architecture], *apart, macs]
