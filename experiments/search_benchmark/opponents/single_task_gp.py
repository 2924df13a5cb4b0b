"""BoTorch's `SingleTaskGP` with its default kernel and priors, its likelihood and predictions in closed form.

BoTorch builds the model and its optimizer fits it. GPyTorch's general machinery takes nearly all of a fit's
time for sets of this size; the same formulas in a few lines of torch take a tenth. The tests compare both.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Self

import torch
from torch import Tensor

with warnings.catch_warnings(action="ignore"):  # what torch has deprecated
    from botorch.fit import fit_gpytorch_mll
    from botorch.models import SingleTaskGP
    from botorch.posteriors import GPyTorchPosterior
    from gpytorch.distributions import MultivariateNormal
    from gpytorch.mlls import ExactMarginalLogLikelihood

__all__ = ["Process", "negative_likelihood"]

_STEPS = 30
"""Most steps of a fit. It starts where the last one ended, so it comes close to where hundreds end."""


@dataclass(frozen=True)
class Process:
    """A fitted model; BoTorch's acquisition functions of one candidate take it for one of theirs."""

    model: Any
    """The fitted `SingleTaskGP`."""
    x: Tensor
    """Training inputs [n, f] in lengthscales."""
    factor: Tensor
    """Lower Cholesky factor [n, n] of the correlations plus noise."""
    weights: Tensor
    num_outputs: int = 1

    @classmethod
    @torch.no_grad()
    def fitted(cls, x: Tensor, y: Tensor, last: Process | None = None) -> Self:
        """Fit values [n] at inputs [n, f] of the unit cube, beginning with the hyperparameters of `last`."""
        with torch.enable_grad(), warnings.catch_warnings(action="ignore"):  # about steps and constant values
            torch.manual_seed(len(y))  # a failed fit is begun again elsewhere
            model = SingleTaskGP(x, y[:, None])
            mll = ExactMarginalLogLikelihood(model.likelihood, model)
            if last is not None:
                for own, other in zip(model.parameters(), last.model.parameters(), strict=True):
                    own.data.copy_(other.data)
            options = {"options": {"maxiter": _STEPS}}
            fit_gpytorch_mll(mll, closure=negative_likelihood(model), optimizer_kwargs=options)
        model.eval()
        inputs = x / model.covar_module.lengthscale[0]
        factor = torch.linalg.cholesky(_noisy(inputs, model.likelihood.noise))
        residuals = (model.train_targets - model.mean_module.constant)[:, None]
        return cls(model, inputs, factor, torch.cholesky_solve(residuals, factor)[:, 0])

    @property
    def best(self) -> Tensor:
        """The largest expected value at a training input, standardized."""
        mean: Tensor = self.model.mean_module.constant + _correlations(self.x, self.x) @ self.weights
        return mean.max().detach()

    def posterior(self, X: Tensor, posterior_transform: None = None) -> Any:  # noqa: N803 its name in BoTorch
        """The distribution at each of the inputs [m, 1, f] on its own, standardized, without noise."""
        cross = _correlations(X[:, 0] / self.model.covar_module.lengthscale[0], self.x)
        solved = torch.linalg.solve_triangular(self.factor, cross.T, upper=False)
        variance = (1 - solved.square().sum(dim=0)).clamp(min=1e-12)
        mean = self.model.mean_module.constant + cross @ self.weights
        return GPyTorchPosterior(MultivariateNormal(mean[:, None], variance[:, None, None]))


def negative_likelihood(model: Any) -> Callable[[], tuple[Tensor, tuple[Tensor, ...]]]:
    """A closure of the negative logarithm of likelihood times priors per point, with its gradients."""
    x, y = model.train_inputs[0], model.train_targets
    kernel, likelihood, n = model.covar_module, model.likelihood, len(y)
    parameters = list(model.parameters())

    def closure() -> tuple[Tensor, tuple[Tensor, ...]]:
        factor = torch.linalg.cholesky(_noisy(x / kernel.lengthscale[0], likelihood.noise))
        solved = torch.linalg.solve_triangular(factor, (y - model.mean_module.constant)[:, None], upper=False)
        logarithm = 0.5 * solved.square().sum() + factor.diagonal().log().sum()
        loss = logarithm / n + 0.5 * math.log(2 * math.pi)
        for _, module, prior, value, _ in model.named_priors():
            loss = loss - prior.log_prob(value(module)).sum() / n
        return loss, torch.autograd.grad(loss, parameters)

    return closure


def _noisy(x: Tensor, noise: Tensor) -> Tensor:
    return _correlations(x, x) + noise * torch.eye(len(x), dtype=x.dtype)


def _correlations(a: Tensor, b: Tensor) -> Tensor:
    """Gaussian correlations [m, n] of inputs [m, f] and [n, f] in lengthscales."""
    squares = a.square().sum(dim=1)[:, None] + b.square().sum(dim=1) - 2 * a @ b.T
    return torch.exp(-0.5 * squares.clamp(min=0))
