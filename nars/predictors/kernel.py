"""The covariance of the Gaussian process: linear plus Matérn-5/2 over weighted inputs.

Every input has a weight in either part, relative to that of its group (architecture, recipe, ...).
The weights maximize the marginal likelihood of the labels under a prior (MAP), with the gradient in
closed form: Rasmussen and Williams, Gaussian Processes for Machine Learning, 2006, section 5.4.1.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import LinAlgError, cho_solve, cholesky, solve_triangular
from scipy.optimize import minimize

__all__ = ["Kernel"]

Floats = NDArray[np.float64]

OFFSET = 1e-2
"""Prior variance of the mean."""

_ITERATIONS = 60
"""Most steps of the optimizer."""

_NOISE, _LINEAR, _MATERN = np.log(0.3), np.log(0.7), np.log(0.7)
"""Prior means of the log standard deviations of noise and both parts; the scores' own is about 1."""

_WEIGHT_PRIOR = 0.5
"""Prior standard deviation of an input's log weight about that of its group; the group's has 1."""

_BOUND = 3.0
"""Furthest that a parameter moves from its prior mean: the matrix stays well conditioned."""

_BLOCK = 1 << 15
"""Covariances worked on at a time, 256 kB."""

_JITTER = 1e-6
"""Least variance of the noise."""


class _Parameters(NamedTuple):
    noise: float
    """A variance, as are `linear` and `matern`."""
    linear: float
    matern: float
    linear_weights: Floats
    """[f], as are `matern_weights`."""
    matern_weights: Floats


class Kernel:
    """Covariances of inputs [n, f] whose `groups` [f] are numbered 0, 1, ...

    The parameters `theta` are one vector of logarithms: noise, linear and Matérn standard deviations,
    then for either part the weight of every group and, relative to it, of every input. `trust` holds
    the prior means of the groups' log weights in the linear part.
    """

    def __init__(self, groups: NDArray[np.int64], trust: Floats) -> None:
        self.groups = groups
        self.count = len(trust)
        sizes = np.bincount(groups, minlength=self.count)
        # Each group brings the same variance at first, however many inputs it has.
        self._share = 1 / np.sqrt(sizes[groups] * max(self.count, 1))
        own = np.zeros(len(groups))
        stds = [np.ones(self.count), np.full(len(groups), _WEIGHT_PRIOR)]
        self.prior_mean = np.concatenate([[_NOISE, _LINEAR, _MATERN], trust, own, np.zeros(self.count), own])
        self.prior_std = np.concatenate([np.ones(3), *stds, *stds])

    def __call__(self, theta: Floats, a: Floats, b: Floats) -> Floats:
        """Covariances [n, m] of noise-free scaled scores.

        Thousands of rows are worked on in blocks that stay in the cache, and in place.
        """
        params = self._parameters(theta)
        covariances = (a * params.linear_weights**2) @ b.T
        a, b = a * params.matern_weights, b * params.matern_weights
        products, norms, others = 2 * a @ b.T, (a**2).sum(axis=1), (b**2).sum(axis=1)
        size = max(1, _BLOCK // max(len(b), 1))
        for start in range(0, len(a), size):
            block = slice(start, start + size)
            matern = _matern(_distances(norms[block], others, products[block]))[0]
            matern *= params.matern
            part = covariances[block]
            part *= params.linear
            part += OFFSET
            part += matern
        return np.asarray(covariances)

    def diagonal(self, theta: Floats, a: Floats) -> Floats:
        """Variances [n] of noise-free scaled scores."""
        params = self._parameters(theta)
        return np.asarray(
            OFFSET + params.linear * (a * params.linear_weights) ** 2 @ np.ones(a.shape[1]) + params.matern
        )

    def cholesky(self, theta: Floats, x: Floats) -> Floats:
        """Lower factor [n, n] of the covariances with noise."""
        return _cholesky(self(theta, x, x), self._parameters(theta).noise)

    def extended(self, theta: Floats, factor: Floats, x: Floats, more: Floats) -> Floats:
        """The factor [n + m, n + m] with `more` inputs [m, f], without noise, after the `x` [n, f]."""
        explained = solve_triangular(factor, self(theta, x, more), lower=True)
        corner = _cholesky(self(theta, more, more) - explained.T @ explained, _JITTER)
        return np.block([[factor, np.zeros(explained.shape)], [explained.T, corner]])

    def tuned(self, x: Floats, z: Floats) -> Floats:
        """The most probable parameters given labels `z` [n] of inputs `x` [n, f]."""
        optimum = minimize(
            self.loss,
            self.prior_mean,
            (x, z),
            method="L-BFGS-B",
            jac=True,
            bounds=[(mean - _BOUND, mean + _BOUND) for mean in self.prior_mean],
            options={"maxiter": _ITERATIONS},
        )
        return np.asarray(optimum.x)

    def loss(self, theta: Floats, x: Floats, z: Floats) -> tuple[float, Floats]:
        """Negative log posterior of the parameters, up to a constant, and its gradient."""
        params = self._parameters(theta)
        product, r = (x * params.linear_weights**2) @ x.T, self._r(params, x, x)
        matern, decay = _matern(r)
        factor = _cholesky(OFFSET + params.linear * product + params.matern * matern, params.noise)
        alpha = cho_solve((factor, True), z)
        away = (theta - self.prior_mean) / self.prior_std
        value = 0.5 * z @ alpha + np.log(np.diag(factor)).sum() + 0.5 * away @ away

        # By the covariances. One expression: a name for its first part would change the order in which
        # NumPy lays the result out in memory, and so the last digits of sums over it.
        slope = 0.5 * (cho_solve((factor, True), np.eye(len(z))) - np.outer(alpha, alpha))
        by_squares = slope * params.matern * -5 / 6 * (1 + r) * decay
        linear = 2 * params.linear * params.linear_weights**2 * np.einsum("ij,ij->j", x, slope @ x)
        distances = by_squares.sum(axis=1) @ x**2 - np.einsum("ij,ij->j", x, by_squares @ x)
        scales = [
            2 * params.noise * np.trace(slope),
            2 * params.linear * (slope * product).sum(),
            2 * params.matern * (slope * matern).sum(),
        ]
        weights = [self._by_group(linear), self._by_group(4 * params.matern_weights**2 * distances)]
        return float(value), np.concatenate([scales, *weights]) + away / self.prior_std

    def _parameters(self, theta: Floats) -> _Parameters:
        noise, linear, matern = np.exp(2 * theta[:3])
        weights = [
            self._share * np.exp(part[: self.count][self.groups] + part[self.count :])
            for part in np.split(theta[3:], 2)
        ]
        return _Parameters(noise + _JITTER, linear, matern, *weights)

    def _r(self, params: _Parameters, a: Floats, b: Floats) -> Floats:
        """Weighted distances [n, m], times the square root of 5."""
        a, b = a * params.matern_weights, b * params.matern_weights
        return _distances((a**2).sum(axis=1), (b**2).sum(axis=1), 2 * a @ b.T)

    def _by_group(self, gradient: Floats) -> Floats:
        """The gradient for the groups' log weights and the inputs' own, from that for their sum [f]."""
        return np.concatenate([np.bincount(self.groups, gradient, self.count), gradient])


def _distances(norms: Floats, others: Floats, products: Floats) -> Floats:
    """Distances [n, m], times the square root of 5, of vectors with these squared norms [n] and [m].

    `products` [n, m] are twice their inner products.
    """
    r = norms[:, None] + others
    r -= products
    np.maximum(r, 1e-12, out=r)
    r *= 5
    return np.asarray(np.sqrt(r, out=r))


def _matern(r: Floats) -> tuple[Floats, Floats]:
    """The Matérn-5/2 correlations of distances `r` [n, m], and the exponential part of them."""
    decay = np.negative(r)
    np.exp(decay, out=decay)
    matern, square = 1 + r, r**2
    square /= 3
    matern += square
    matern *= decay
    return np.asarray(matern), decay


def _cholesky(covariances: Floats, noise: float) -> Floats:
    """The lower factor [n, n]; more noise if rounding has left the matrix indefinite."""
    identity = np.eye(len(covariances))
    while True:
        try:
            return np.asarray(cholesky(covariances + noise * identity, lower=True))
        except LinAlgError:
            noise *= 10
