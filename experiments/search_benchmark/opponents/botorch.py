"""BoTorch's `SingleTaskGP` with the logarithm of expected improvement, on encoded candidates and MACs.

The acquisition is maximized as by the other models here: over random candidates, then over mutants of the
most promising, since the limits are on functions of whole candidates. Model, priors, scaling, optimizer
and acquisition are BoTorch's; `single_task_gp` gives them the likelihood and the predictions in closed
form.
"""

from __future__ import annotations

import warnings
from importlib.util import find_spec
from typing import TYPE_CHECKING

import numpy as np

from experiments.search_benchmark.opponents.base import scalarisation
from experiments.search_benchmark.opponents.models import ModelBased, Promise
from experiments.search_benchmark.problem import Array, Problem
from nars.errors import UsageError
from nars.space.genotypes import Matrix

if TYPE_CHECKING:
    import torch

    from experiments.search_benchmark.opponents.single_task_gp import Process

__all__ = ["BoTorch"]


class BoTorch(ModelBased):
    """Fits the process before every batch, from where the last fit ended."""

    def __init__(self, problem: Problem, budget: int, seed: int) -> None:
        super().__init__(problem, budget, seed)
        if find_spec("botorch") is None:
            raise UsageError("botorch needs the extra: pip install nars[benchmark]")
        self._last: Process | None = None

    def _promise(self) -> Promise:
        import torch

        with warnings.catch_warnings(action="ignore"):  # its libraries use what torch has deprecated
            from botorch.acquisition import LogExpectedImprovement

            from experiments.search_benchmark.opponents.single_task_gp import Process

        y = scalarisation(self._values, self._rng)(self._values)
        process = self._last = Process.fitted(self._inputs(self._matrix), torch.from_numpy(y), self._last)
        acquisition = LogExpectedImprovement(process, process.best)

        def promise(candidates: Matrix) -> Array:
            with torch.no_grad(), warnings.catch_warnings(action="ignore"):
                values = acquisition(self._inputs(candidates)[:, None])
            return np.asarray(values.numpy(), dtype=np.float64)

        return promise

    def _inputs(self, matrix: Matrix) -> torch.Tensor:
        """Features [n, f] in the unit cube, which BoTorch's priors expect; few MACs are outside."""
        import torch

        encoded, *macs = self._groups(matrix)
        return torch.from_numpy(np.concatenate([encoded, *(0.5 + part / 4 for part in macs)], axis=1))
