"""BoTorch's `SingleTaskGP` with the logarithm of expected improvement, on encoded candidates and MACs.

The acquisition is maximized as by the other models here: over random candidates, then over mutants of the
most promising, since the limits are on functions of whole candidates.
"""

from __future__ import annotations

import warnings
from importlib.util import find_spec

import numpy as np

from experiments.search_benchmark.opponents.base import scalarisation
from experiments.search_benchmark.opponents.models import ModelBased, Promise
from experiments.search_benchmark.problem import Array, Problem
from nars.errors import UsageError
from nars.space.genotypes import Matrix

__all__ = ["BoTorch"]


class BoTorch(ModelBased):
    """Fits the process anew for every batch, with BoTorch's own priors and scaling."""

    def __init__(self, problem: Problem, budget: int, seed: int) -> None:
        super().__init__(problem, budget, seed)
        if find_spec("botorch") is None:
            raise UsageError("botorch needs the extra: pip install nars[benchmark]")

    def _promise(self) -> Promise:
        import torch

        with warnings.catch_warnings(action="ignore"):  # its libraries use what torch has deprecated
            from botorch.acquisition import LogExpectedImprovement
            from botorch.fit import fit_gpytorch_mll
            from botorch.models import SingleTaskGP
            from botorch.models.transforms import Normalize, Standardize
            from gpytorch.mlls import ExactMarginalLogLikelihood

        x = torch.from_numpy(self._inputs(self._matrix))
        y = scalarisation(self._values, self._rng)(self._values)
        with warnings.catch_warnings(action="ignore"):  # about the scale of data that it scales itself
            torch.manual_seed(len(y))  # a failed fit is begun again elsewhere
            model = SingleTaskGP(
                x,
                torch.from_numpy(y)[:, None],
                input_transform=Normalize(x.shape[1]),
                outcome_transform=Standardize(1),
            )
            fit_gpytorch_mll(ExactMarginalLogLikelihood(model.likelihood, model))
            best = model.posterior(x).mean.max()
        acquisition = LogExpectedImprovement(model, best)

        def promise(candidates: Matrix) -> Array:
            with torch.no_grad(), warnings.catch_warnings(action="ignore"):
                values = acquisition(torch.from_numpy(self._inputs(candidates))[:, None])
            return np.asarray(values.numpy(), dtype=np.float64)

        return promise

    def _inputs(self, matrix: Matrix) -> Array:
        return np.concatenate(self._groups(matrix), axis=1)
