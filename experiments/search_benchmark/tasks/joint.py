"""The joint tables of this project: architecture and recipe of `micro`, every candidate really trained.

The truth is a model of gradient-boosted trees fitted to the accuracies of experiments/joint_table, as in
NAS-Bench-301 (Zela et al., ICLR 2022). The noise added to it is the one that repeated trainings with
another seed showed. Trees extrapolate little; a Gaussian process fitted to the same table has its best
candidates far above all that were trained, in regions where almost none was.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
import pandas as pd
from scipy.optimize import minimize
from scipy.special import expit, logit
from sklearn.ensemble import HistGradientBoostingRegressor

from experiments.joint_table import CANDIDATES, table_space
from experiments.search_benchmark.problem import Array, Problem, Task
from experiments.search_benchmark.tasks.table import digest
from nars.errors import DataError
from nars.space.genotypes import Domain, Matrix, from_genotypes

__all__ = ["FOLDER", "NAMES", "Noise", "Surrogate", "load", "matrix_of"]

FOLDER = Path(__file__).parents[2] / "joint_table"
"""The joint tables."""

NAMES = tuple(f"micro-{data}{kind}" for data in ("digits", "fashion") for kind in ("", "-2M", "-pareto"))
"""The tasks of this family."""

_LIMIT = 2e6
"""Most MACs of the tasks with a limit; a sixth of random candidates is below."""

_EDGE = 0.0014
"""Least distance of an accuracy from 0 and 1, half an image of the digits, so that its odds are finite."""

_MEMBERS = 4
"""Seeds of the trees whose predictions are averaged."""


def load(name: str, data_root: Path) -> Task:
    table = "-".join(name.split("-")[:2])
    path = FOLDER / f"{table}.csv.gz"
    if not path.exists():
        raise DataError(f"no table {path.name}: run python -m experiments.joint_table.train {table}")
    surrogate = _surrogate(path)
    if surrogate.candidates < CANDIDATES:
        raise DataError(f"{path.name} has {surrogate.candidates} of {CANDIDATES} candidates: finish it first")

    task = Task(table, Problem(surrogate.domain), surrogate.score, surrogate.train, f"{digest(path)}-trees")
    limits = {"macs": _LIMIT} if name.endswith("-2M") else None
    return task.variant(name, limits=limits, cost="macs" if name.endswith("-pareto") else None)


@dataclass(frozen=True)
class Noise:
    """Standard deviation of the log odds between trainings of a candidate that differ only in the seed.

    Its logarithm is linear in the candidate's log odds, because trainings of good candidates differ less
    than those of bad ones. Outside of the measured range it is constant.
    """

    log_sd: float
    slope: float
    low: float
    """The least log odds measured."""
    high: float
    """The greatest log odds measured."""

    @classmethod
    def fit(cls, means: Array, variances: Array, freedom: Array) -> Noise:
        """Fit by maximum likelihood to repeated candidates; without any, the noise is 0.

        `means` and `variances` [n] are those of a candidate's log odds over seeds, `freedom` [n] its
        degrees of freedom.
        """
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
    """Predicts the accuracy of a candidate in per cent: boosted trees of its log odds, averaged over seeds.

    Log odds put accuracies near 100, failed trainings and their noise on one scale.
    """

    domain: Domain
    members: tuple[HistGradientBoostingRegressor, ...]
    noise: Noise
    candidates: int

    @classmethod
    def fit(cls, domain: Domain, table: pd.DataFrame) -> Surrogate:
        """Fit to a table with a column per dimension, ``seed`` and ``accuracy`` in 0..1."""
        matrix, odds = matrix_of(domain, table), logit(_inside(table["accuracy"].to_numpy(np.float64)))
        _, first, group = np.unique(matrix, axis=0, return_index=True, return_inverse=True)
        counts = np.bincount(group)
        means = np.bincount(group, odds) / counts
        squares = np.bincount(group, (odds - means[group]) ** 2)
        twice = counts > 1
        freedom = (counts[twice] - 1).astype(np.float64)
        noise = Noise.fit(means[twice], squares[twice] / freedom, freedom)
        inputs = _inputs(domain, matrix[first])
        members = tuple(_boosted(seed).fit(inputs, means, counts) for seed in range(_MEMBERS))
        return cls(domain, members, noise, len(means))

    def score(self, matrix: Matrix) -> Array:
        """True accuracy [n] in per cent."""
        return 100 * expit(self._odds(matrix))

    def train(self, matrix: Matrix, rng: np.random.Generator) -> tuple[Array, Array]:
        """The scores [n], and the observed scores [n] of one training each."""
        odds = self._odds(matrix)
        return 100 * expit(odds), 100 * expit(odds + self.noise(odds) * rng.normal(size=len(matrix)))

    def _odds(self, matrix: Matrix) -> Array:
        inputs = _inputs(self.domain, self.domain.canonical(matrix))
        return np.asarray(np.mean([member.predict(inputs) for member in self.members], axis=0))


def _inside(accuracy: Array) -> Array:
    """Accuracies moved away from 0 and 1, whose log odds are infinite."""
    return np.asarray(np.clip(accuracy, _EDGE, 1 - _EDGE))


def matrix_of(domain: Domain, table: pd.DataFrame) -> Matrix:
    """The candidates [n, d] of a table's rows."""
    names = list(domain.distributions)
    genotypes = [dict(zip(names, row, strict=True)) for row in table[names].itertuples(index=False)]
    return domain.canonical(from_genotypes(domain, genotypes))


@cache
def _surrogate(path: Path) -> Surrogate:
    return Surrogate.fit(table_space(), pd.read_csv(path, keep_default_na=False))


def _boosted(seed: int) -> HistGradientBoostingRegressor:
    """Trees with settings that were chosen by cross-validation on the table of Fashion-MNIST."""
    return HistGradientBoostingRegressor(
        max_iter=100,
        learning_rate=0.12,
        max_leaf_nodes=8,
        min_samples_leaf=8,
        max_features=0.4,
        random_state=seed,
    )


def _inputs(domain: Domain, matrix: Matrix) -> Array:
    """The encoded candidate and the logarithms of its statistics [n, f]."""
    statistics = [np.log(values) for values in domain.statistics(matrix).values()]
    return np.column_stack([domain.dimensions.features(matrix), *statistics])
