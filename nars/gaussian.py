"""A Gaussian process on the encoded candidate and its exact statistics.

The rival of the paper's head: nothing to pretrain, since MACs and parameters enter as inputs, and
an uncertainty that is a posterior. Its kernel is linear plus Matérn-5/2, each with a weight for
every input that the labels set by their marginal likelihood under a prior (MAP).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Self, cast

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from scipy.optimize import minimize
from sklearn.base import BaseEstimator, RegressorMixin
from sklearn.utils.validation import check_is_fitted
from torch import Tensor

from nars.genotypes import Domain, Matrix, features, is_architecture_feature, sample
from nars.labels import LabelScale, check_labels, check_matrix

__all__ = ["GaussianPredictor"]

Floats = NDArray[np.float64]

ITERATIONS = 60
PRIOR_MEANS = {"noise": np.log(0.3), "linear": np.log(0.7), "matern": np.log(0.7)}
"""Logarithms of standard deviations, of scores that have about 1."""
WEIGHT_PRIOR = 0.5
"""Standard deviation of an input's log weight about that of its group; the group's has 1."""
TRUST = np.log(3.0)
"""Prior log weight of the linear kernel's knowledge: a search of the same dimensions tells more than
MACs and parameters do."""
BOUND = 3.0
"""Furthest that a parameter goes from its prior mean: the matrix stays well conditioned."""
OFFSET = 1e-2
"""Prior variance of the mean."""
JITTER = 1e-6
TUNED_ON = 300
"""Labels that set the kernel; all others only condition it."""
LARGEST = 1000
"""Labels that condition it; of more, the later half of these is the last and the rest random."""
CHUNK = 4096
ARCHITECTURE, RECIPE, STATISTIC, KNOWLEDGE = range(4)
"""Kinds of inputs; those of a kind are a group of the kernel."""


class GaussianPredictor(RegressorMixin, BaseEstimator):  # type: ignore[misc]
    """Predicts the score of genotypes [n, d] of `domain`, with its posterior standard deviation.

    The contract is that of `nars.predictor.AccuracyPredictor`. The order of the labels is taken as
    the order of measurement where there are more than `LARGEST`. `knowledge` gives further inputs
    [n, k] of genotypes, such as what earlier searches make of them (`nars.knowledge`).
    """

    def __init__(
        self, domain: Domain, seed: int = 0, knowledge: Callable[[Matrix], Floats] | None = None
    ) -> None:
        self.domain = domain
        self.seed = seed
        self.knowledge = knowledge

    def fit(self, X: ArrayLike, y: ArrayLike) -> Self:  # noqa: N803
        matrix = check_matrix(self.domain, X)
        labels = check_labels(y, len(matrix))
        rng = np.random.default_rng(self.seed)
        self.n_features_in_ = matrix.shape[1]
        self.scale_ = LabelScale.of(labels)
        inputs, self.kinds_ = self._known(sample(self.domain, 1024, rng))
        self.groups_ = np.unique(self.kinds_, return_inverse=True)[1]
        std = inputs.std(axis=0)
        self.input_mean_, self.input_std_ = inputs.mean(axis=0), np.where(std < 1e-6, 1.0, std)
        chosen = _kept(len(matrix), rng)
        self.inputs_ = self._inputs(matrix[chosen])
        z = torch.from_numpy(self.scale_.forward(labels[chosen]))
        tuning = torch.from_numpy(rng.permutation(len(z))[:TUNED_ON])
        trust = [TRUST if name == KNOWLEDGE else 0.0 for name in np.unique(self.kinds_)]
        self.kernel_ = _Kernel(torch.from_numpy(self.groups_), torch.tensor(trust))
        self.theta_ = self.kernel_.tuned(self.inputs_[tuning], z[tuning])
        self.cholesky_ = self.kernel_.cholesky(self.theta_, self.inputs_)
        self.alpha_ = torch.cholesky_solve(z[:, None], self.cholesky_)
        return self

    @torch.no_grad()
    def predict(self, X: ArrayLike, return_std: bool = False) -> Floats | tuple[Floats, Floats]:  # noqa: N803
        check_is_fitted(self)
        x = self._inputs(check_matrix(self.domain, X))
        means, stds = [], []
        for part in x.split(CHUNK):
            cross = self.kernel_(self.theta_, part, self.inputs_)
            means.append((cross @ self.alpha_)[:, 0])
            if return_std:
                explained = torch.linalg.solve_triangular(self.cholesky_, cross.T, upper=False)
                prior = self.kernel_.diagonal(self.theta_, part)
                stds.append((prior - explained.square().sum(dim=0)).clamp_min(JITTER).sqrt())
        z = torch.cat(means).numpy()
        if not return_std:
            return self.scale_.inverse(z)
        return self.scale_.inverse(z), self.scale_.inverse_std(z, torch.cat(stds).numpy())

    def _inputs(self, matrix: Matrix) -> Tensor:
        return torch.from_numpy((self._known(matrix)[0] - self.input_mean_) / self.input_std_)

    def _known(self, matrix: Matrix) -> tuple[Floats, NDArray[np.int64]]:
        """Inputs [n, f], and what each is: ARCHITECTURE, RECIPE, STATISTIC or KNOWLEDGE [f]."""
        encoded = features(self.domain, matrix).astype(np.float64)
        statistics = [np.log(np.maximum(values, 1e-12)) for values in self.domain.statistics(matrix).values()]
        earlier = np.zeros((len(matrix), 0)) if self.knowledge is None else self.knowledge(matrix)
        kinds = np.where(is_architecture_feature(self.domain), ARCHITECTURE, RECIPE)
        others = np.repeat([STATISTIC, KNOWLEDGE], [len(statistics), earlier.shape[1]])
        return np.column_stack([encoded, *statistics, earlier]), np.concatenate([kinds, others])


class _Kernel:
    """Linear plus Matérn-5/2 over weighted inputs [n, f], of groups numbered 0, 1, ... [f].

    Parameters are one vector of logarithms: noise, linear and Matérn standard deviations, then for
    either kernel the weight of every group and, relative to it, of every input.
    """

    def __init__(self, groups: Tensor, trust: Tensor) -> None:
        """`trust` holds the prior log weight of each group in the linear kernel."""
        self.groups = groups
        self.count = len(trust)
        sizes = torch.bincount(groups, minlength=self.count).double()
        # Each group brings the same variance at first, however many inputs it has.
        self.share = (sizes[groups] * max(self.count, 1)).rsqrt()
        weights = torch.cat([torch.ones(self.count), torch.full((len(groups),), WEIGHT_PRIOR)])
        self.prior_std = torch.cat([torch.ones(3), weights, weights]).double()
        self.prior_mean = torch.zeros_like(self.prior_std)
        self.prior_mean[:3] = torch.tensor(list(PRIOR_MEANS.values()))
        self.prior_mean[3 : 3 + self.count] = trust

    def __call__(self, theta: Tensor, a: Tensor, b: Tensor) -> Tensor:
        """Covariance [n, m] of noise-free scaled scores."""
        linear, matern = (2 * theta[1]).exp(), (2 * theta[2]).exp()
        linear_weights, matern_weights = self._weights(theta)
        product = (a * linear_weights) @ (b * linear_weights).T
        a, b = a * matern_weights, b * matern_weights
        squares = a.square().sum(dim=1)[:, None] + b.square().sum(dim=1) - 2 * a @ b.T
        r = (5 * squares.clamp_min(1e-12)).sqrt()
        return OFFSET + linear * product + matern * (1 + r + r.square() / 3) * (-r).exp()

    def diagonal(self, theta: Tensor, a: Tensor) -> Tensor:
        linear, matern = (2 * theta[1]).exp(), (2 * theta[2]).exp()
        return OFFSET + linear * (a * self._weights(theta)[0]).square().sum(dim=1) + matern

    def cholesky(self, theta: Tensor, x: Tensor) -> Tensor:
        covariance, identity = self(theta, x, x), torch.eye(len(x), dtype=x.dtype)
        noise = (2 * theta[0]).exp() + JITTER
        factor, failed = torch.linalg.cholesky_ex(covariance + noise * identity)
        while failed:
            noise = 10 * noise
            factor, failed = torch.linalg.cholesky_ex(covariance + noise * identity)
        return cast("Tensor", factor)

    def tuned(self, x: Tensor, z: Tensor) -> Tensor:
        """The most probable parameters given labels `z` [n]."""
        start = self.prior_mean.numpy()

        def negative_log_posterior(values: Floats) -> tuple[float, Floats]:
            theta = torch.from_numpy(values).requires_grad_()
            factor = self.cholesky(theta, x)
            fit = 0.5 * z @ torch.cholesky_solve(z[:, None], factor)[:, 0]
            prior = 0.5 * ((theta - self.prior_mean) / self.prior_std).square().sum()
            loss = fit + factor.diagonal().log().sum() + prior
            (gradient,) = torch.autograd.grad(loss, theta)
            return loss.item(), gradient.numpy()

        found = minimize(
            negative_log_posterior,
            start,
            jac=True,
            method="L-BFGS-B",
            bounds=[(mean - BOUND, mean + BOUND) for mean in start],
            options={"maxiter": ITERATIONS},
        )
        return torch.from_numpy(found.x)

    def _weights(self, theta: Tensor) -> tuple[Tensor, Tensor]:
        linear, matern = theta[3:].chunk(2)
        return self._weight(linear), self._weight(matern)

    def _weight(self, part: Tensor) -> Tensor:
        return self.share * (part[: self.count][self.groups] + part[self.count :]).exp()


def _kept(n: int, rng: np.random.Generator) -> NDArray[np.int64]:
    """Rows that condition the process."""
    if n <= LARGEST:
        return np.arange(n)
    earlier = rng.permutation(n - LARGEST // 2)[: LARGEST - LARGEST // 2]
    return np.concatenate([np.sort(earlier), np.arange(n - LARGEST // 2, n)])
