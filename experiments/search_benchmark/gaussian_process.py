"""A plain Gaussian process with one lengthscale per group of features, fitted by marginal likelihood.

It is the strongest simple opponent and also, fitted to measured networks with other groups and far more
data, the truth of `ofa-imagenet`. It shares no code with `nars`, so neither use favours the sampler under
test.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import cho_solve, cholesky, solve_triangular
from scipy.optimize import minimize

__all__ = ["GaussianProcess", "Hyperparameters", "fit", "fit_hyperparameters"]

Array = NDArray[np.float64]
"""Floating point numbers."""

_BOUNDS = {"lengthscale": (np.log(0.05), np.log(100.0)), "noise": (np.log(1e-4), np.log(2.0))}
"""Least and greatest logarithm of each hyperparameter."""


@dataclass(frozen=True)
class Hyperparameters:
    """Hyperparameters, chosen by the marginal likelihood."""

    lengthscales: tuple[float, ...]
    """One per group, in units of the root mean square distance between points."""
    noise: float
    """Noise variance over signal variance."""


@dataclass(frozen=True)
class GaussianProcess:
    """A fitted process with a Matern-5/2 kernel."""

    groups: tuple[Array, ...]
    """Training features [n, f] of each group, already divided by their scale."""
    scales: tuple[float, ...]
    """Lengthscale of each group, in its own units."""
    factor: Array
    """Lower Cholesky factor [n, n] of the correlations plus noise."""
    weights: Array
    mean: float
    variance: float
    """Variance of the signal."""

    def predict(self, groups: Sequence[Array], *, chunk: int = 4096) -> Array:
        """Expected values [n] at features [n, f] of each group, `chunk` points at a time."""
        parts = [
            self._cross([group[i : i + chunk] for group in groups]) @ self.weights
            for i in range(0, len(groups[0]), chunk)
        ]
        return self.mean + np.concatenate(parts)

    def predict_with_sd(self, groups: Sequence[Array]) -> tuple[Array, Array]:
        """Expected values [n] and their standard deviations [n], without the noise."""
        cross = self._cross(groups)
        solved = solve_triangular(self.factor, cross.T, lower=True)
        spread = np.maximum(1e-12, 1 - np.sum(solved**2, axis=0))
        return self.mean + cross @ self.weights, np.sqrt(self.variance * spread)

    def _cross(self, groups: Sequence[Array]) -> Array:
        scaled = [group / scale for group, scale in zip(groups, self.scales, strict=True)]
        return _matern(_total([_distances(a, b) for a, b in zip(scaled, self.groups, strict=True)]))


def fit(groups: Sequence[Array], y: Array, hyper: Hyperparameters) -> GaussianProcess:
    """Condition a process on values `y` [n] at features [n, f] of each group."""
    units = [np.sqrt(max(2 * group.var(axis=0).sum(), 1e-12)) for group in groups]
    scales = tuple(float(unit * length) for unit, length in zip(units, hyper.lengthscales, strict=True))
    scaled = tuple(group / scale for group, scale in zip(groups, scales, strict=True))
    correlations = _matern(_total([_distances(x, x) for x in scaled]))
    factor = cholesky(correlations + hyper.noise * np.eye(len(y)), lower=True)
    centred = y - y.mean()
    weights = cho_solve((factor, True), centred)
    return GaussianProcess(
        scaled, scales, factor, weights, float(y.mean()), float(centred @ weights / len(y))
    )


def fit_hyperparameters(
    groups: Sequence[Array], y: Array, start: Hyperparameters | None = None, steps: int = 30
) -> Hyperparameters:
    """Maximize the marginal likelihood in `steps` from `start`; the signal variance is in closed form."""
    start = start or Hyperparameters((1.0,) * len(groups), 0.1)
    units = [max(2 * group.var(axis=0).sum(), 1e-12) for group in groups]
    distances = [_distances(group, group) / unit for group, unit in zip(groups, units, strict=True)]
    x0 = np.log([*start.lengthscales, start.noise])
    bounds = [_BOUNDS["lengthscale"]] * len(groups) + [_BOUNDS["noise"]]
    found = minimize(
        _negative_likelihood,
        x0,
        (distances, y - y.mean()),
        "L-BFGS-B",
        jac=True,
        bounds=bounds,
        options={"maxiter": steps},
    )
    values = np.exp(found.x)
    return Hyperparameters(tuple(values[:-1].tolist()), float(values[-1]))


def _negative_likelihood(log_hyper: Array, distances: Sequence[Array], y: Array) -> tuple[float, Array]:
    """Negative logarithm of the marginal likelihood per point, and its gradient."""
    n = len(y)
    scaled = [part / np.exp(2 * log) for part, log in zip(distances, log_hyper[:-1], strict=True)]
    total = _total(scaled)
    noise = np.exp(log_hyper[-1])
    factor = cholesky(_matern(total) + noise * np.eye(n), lower=True)
    weights = cho_solve((factor, True), y)
    variance = max(float(y @ weights) / n, 1e-12)
    inverse = cho_solve((factor, True), np.eye(n))
    outer = inverse - np.outer(weights, weights) / variance  # d value / d correlations
    slope = outer * _matern_slope(total)
    gradient = [0.5 * np.sum(slope * -2 * part) for part in scaled] + [0.5 * np.trace(outer) * noise]
    value = 0.5 * n * np.log(variance) + np.log(np.diag(factor)).sum()
    return value / n, np.array(gradient) / n


def _total(distances: Sequence[Array]) -> Array:
    return np.asarray(np.sum(distances, axis=0))


def _distances(a: Array, b: Array) -> Array:
    """Squared Euclidean distances [n, m] between rows of `a` [n, f] and `b` [m, f]."""
    squares = (a**2).sum(axis=1)[:, None] + (b**2).sum(axis=1) - 2 * a @ b.T
    return np.asarray(np.maximum(squares, 0.0))


def _matern(squares: Array) -> Array:
    """Matern-5/2 correlation at squared distances in lengthscales."""
    r = np.sqrt(5 * squares)
    return (1 + r + r**2 / 3) * np.exp(-r)


def _matern_slope(squares: Array) -> Array:
    """Derivative of `_matern` with respect to the squared distance."""
    r = np.sqrt(5 * squares)
    return -5 / 6 * (1 + r) * np.exp(-r)
