"""Genotypes by the hundred thousand: sample, encode and vary them as matrices.

A matrix [n, d] holds n genotypes in Optuna's internal representation, one column per
dimension: the index of a choice, or the number itself. The functions here know nothing about
networks; they take any `Domain`. `nars.space.Space` is the domain that describes networks.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)
from optuna.trial import Trial
from scipy.stats import qmc

from nars.space.dimensions import Dimensions

__all__ = [
    "Domain",
    "Genotype",
    "Matrix",
    "crossover",
    "from_genotypes",
    "is_architecture_feature",
    "mutate",
    "numbers",
    "sample",
    "suggest",
    "to_genotypes",
]

Genotype = dict[str, Any]
Matrix = NDArray[np.float64]


class Domain(Protocol):
    """A searched domain: named distributions, and what is known about a genotype for free."""

    @property
    def distributions(self) -> Mapping[str, BaseDistribution]:
        """Every dimension; the names of those that train a network start with ``recipe.``."""

    @property
    def dimensions(self) -> Dimensions:
        """The distributions as arrays, made once."""

    @property
    def fingerprint(self) -> str:
        """Changes with anything that changes what a genotype means."""

    def canonical(self, matrix: Matrix) -> Matrix:
        """The same candidates [n, d], with dimensions that have no effect at a set value."""

    def statistics(self, matrix: Matrix) -> Mapping[str, NDArray[np.float64]]:
        """Named numbers [n] that cost no training, such as ``macs``."""


def from_genotypes(domain: Domain, genotypes: Sequence[Mapping[str, Any]]) -> Matrix:
    """The matrix [n, d] of genotypes given as mappings."""
    dimensions = domain.distributions.items()
    rows = [[dist.to_internal_repr(genotype[name]) for name, dist in dimensions] for genotype in genotypes]
    return np.array(rows, dtype=np.float64).reshape(len(genotypes), len(dimensions))


def to_genotypes(domain: Domain, matrix: Matrix) -> list[Genotype]:
    """The mappings that Optuna stores."""
    dimensions = list(domain.distributions.items())
    return [
        {name: dist.to_external_repr(value) for (name, dist), value in zip(dimensions, row, strict=True)}
        for row in matrix.tolist()
    ]


def sample(domain: Domain, n: int, rng: np.random.Generator, *, quasi: bool = True) -> Matrix:
    """`n` genotypes spread evenly over the space (scrambled Sobol), or uniformly at random."""
    d = len(domain.distributions)
    if d == 0:
        return np.zeros((n, 0))
    if quasi:
        bits = max(1, int(np.ceil(np.log2(max(n, 2)))))
        unit = qmc.Sobol(d, rng=rng).random_base2(bits)[:n]
    else:
        unit = rng.random((n, d))
    return domain.canonical(domain.dimensions.from_unit(unit))


def suggest(domain: Domain, trial: Trial) -> Genotype:
    """Ask an Optuna trial for every dimension, for use in ``study.optimize``."""
    genotype: Genotype = {}
    for name, dist in domain.distributions.items():
        if isinstance(dist, CategoricalDistribution):
            genotype[name] = trial.suggest_categorical(name, dist.choices)
        elif isinstance(dist, IntDistribution):
            genotype[name] = trial.suggest_int(name, dist.low, dist.high, step=dist.step, log=dist.log)
        else:
            assert isinstance(dist, FloatDistribution)
            genotype[name] = trial.suggest_float(name, dist.low, dist.high, step=dist.step, log=dist.log)
    return genotype


def is_architecture_feature(domain: Domain) -> NDArray[np.bool_]:
    """A mask [f] of the columns of `Dimensions.features` that describe the architecture, not the recipe."""
    return ~domain.dimensions.recipe[domain.dimensions.source]


def mutate(domain: Domain, matrix: Matrix, rng: np.random.Generator, rate: float | None = None) -> Matrix:
    """Each value redrawn with probability `rate` (default: 1/d), at least one per row.

    Choices are redrawn uniformly; numbers take a step of a fifth of their range on average.
    """
    n, d = matrix.shape
    if d == 0:
        return matrix
    chosen = rng.random((n, d)) < (rate or 1 / d)
    chosen[np.arange(n), rng.integers(d, size=n)] = True
    unit = domain.dimensions.to_unit(matrix)
    step = unit + rng.normal(0, 0.25, size=(n, d))
    step = np.abs(step)
    step = np.where(step > 1, 2 - step, step).clip(0, 1)  # reflected at both ends
    fresh = np.where(domain.dimensions.choice, rng.random((n, d)), step)
    return domain.canonical(np.where(chosen, domain.dimensions.from_unit(fresh), matrix))


def crossover(domain: Domain, a: Matrix, b: Matrix, rng: np.random.Generator) -> Matrix:
    """Each value from one of two parents, at random."""
    return domain.canonical(np.where(rng.random(a.shape) < 0.5, a, b))


def numbers(domain: Domain, matrix: Matrix, name: str) -> NDArray[np.float64]:
    """The values [n] of one dimension; its choices, if it has any, must be numbers."""
    column = matrix[:, list(domain.distributions).index(name)]
    dist = domain.distributions[name]
    if isinstance(dist, CategoricalDistribution):
        return np.array(dist.choices, dtype=np.float64)[column.astype(np.int64)]
    return column
