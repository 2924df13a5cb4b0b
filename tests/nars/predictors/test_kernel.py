"""The covariance of the Gaussian process and the gradient that tunes it."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.optimize import check_grad
from sklearn.gaussian_process.kernels import DotProduct, Matern

from nars.predictors.kernel import OFFSET, Kernel

GROUPS = np.array([0, 0, 0, 1, 1, 2])
RNG = np.random.default_rng(0)
X, Z = RNG.normal(size=(12, 6)), RNG.normal(size=12)
KERNEL = Kernel(GROUPS, np.array([0.0, 0.0, 1.0]))


@pytest.mark.parametrize("seed", range(3))
def test_gradient(seed: int) -> None:
    theta = KERNEL.prior_mean + 0.3 * np.random.default_rng(seed).normal(size=len(KERNEL.prior_mean))
    error = check_grad(lambda at: KERNEL.loss(at, X, Z)[0], lambda at: KERNEL.loss(at, X, Z)[1], theta)
    assert error < 1e-4 * np.abs(KERNEL.loss(theta, X, Z)[1]).max()


def test_it_is_linear_plus_matern() -> None:
    """With equal weights, as scikit-learn has it."""
    plain = Kernel(np.zeros(6, np.int64), np.zeros(1))
    theta = plain.prior_mean
    scale = 1 / np.sqrt(6)
    linear, matern = np.exp(2 * theta[1:3])
    other = linear * DotProduct(sigma_0=0)(scale * X) + matern * Matern(nu=2.5)(scale * X)
    np.testing.assert_allclose(plain(theta, X, X), OFFSET + other, atol=1e-6)


def test_the_diagonal_is_that_of_the_covariances() -> None:
    theta = KERNEL.prior_mean + 0.1
    np.testing.assert_allclose(KERNEL.diagonal(theta, X), np.diag(KERNEL(theta, X, X)), atol=1e-5)


def test_tuning_finds_the_input_that_matters() -> None:
    x = np.random.default_rng(1).normal(size=(60, 6))
    tuned = KERNEL.tuned(x, 2 * x[:, 4])
    linear = tuned[3:12]
    weights = linear[:3][GROUPS] + linear[3:]
    assert weights.argmax() == 4
    assert KERNEL.loss(tuned, x, 2 * x[:, 4])[0] < KERNEL.loss(KERNEL.prior_mean, x, 2 * x[:, 4])[0]


def test_equal_rows_and_large_inputs_keep_a_factor() -> None:
    x = 1e6 * np.repeat(X[:3], 5, axis=0)
    factor = KERNEL.cholesky(KERNEL.prior_mean, x)
    assert np.isfinite(factor).all()
