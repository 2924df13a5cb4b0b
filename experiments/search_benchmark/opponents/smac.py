"""SMAC3's random forest and expected improvement (Lindauer et al., JMLR 2022).

Install with ``pip install nars[benchmark]``. A proposal beyond a limit is told to it as a
crash, with the worst score so far.
"""

from __future__ import annotations

import logging
import shutil
import tempfile
import weakref
from pathlib import Path
from typing import Any

import numpy as np
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)

from experiments.search_benchmark.opponents.base import Optimizer
from experiments.search_benchmark.problem import Array, Problem
from nars.errors import UsageError
from nars.space.genotypes import Matrix

__all__ = ["Smac"]

_ATTEMPTS = 30
"""Proposals beyond the limits before a random candidate is taken."""


class Smac(Optimizer):
    """SMAC3's facade for hyperparameters, driven by ask and tell."""

    def __init__(self, problem: Problem, budget: int, seed: int) -> None:
        try:
            import ConfigSpace
            import smac
        except ImportError as error:
            raise UsageError("opponent smac needs SMAC3: pip install nars[benchmark]") from error
        logging.getLogger("smac").setLevel(logging.ERROR)
        self._problem, self._rng, self._smac = problem, np.random.default_rng(seed), smac
        self._dimensions = list(problem.domain.distributions.values())
        space = ConfigSpace.ConfigurationSpace(seed=seed)
        space.add([_hyperparameter(f"x{i}", dist) for i, dist in enumerate(self._dimensions)])
        folder = tempfile.mkdtemp(prefix="smac-")  # it writes files whatever it is asked
        weakref.finalize(self, shutil.rmtree, folder, ignore_errors=True)
        scenario = smac.Scenario(
            space, n_trials=100_000, deterministic=True, seed=seed, output_directory=Path(folder)
        )
        facade = smac.HyperparameterOptimizationFacade
        self._facade: Any = facade(
            scenario,
            _unused,
            initial_design=facade.get_initial_design(scenario, n_configs=10),
            logging_level=False,
            model=_single_thread(facade.get_model(scenario)),
            overwrite=True,
        )
        self._info: Any = None
        self._worst = 0.0

    def ask(self) -> Matrix:
        for _ in range(_ATTEMPTS):
            self._info = self._facade.ask()
            matrix = self._matrix(self._info.config)
            if self._problem.feasible(matrix).all():
                return matrix
            self._report(self._worst, crashed=True)
            self.rejected += 1
        self._info = None  # a random candidate stands in, untold: SMAC accepts only its own
        return self._problem.sample(1, self._rng)

    def tell(self, matrix: Matrix, values: Array) -> None:
        cost = -float(values[0, 0])
        self._worst = max(self._worst, cost)
        if self._info is not None:
            self._report(cost, crashed=False)

    def _report(self, cost: float, *, crashed: bool) -> None:
        status = self._smac.runhistory.StatusType
        value = self._smac.runhistory.TrialValue(cost, status=status.CRASHED if crashed else status.SUCCESS)
        self._facade.tell(self._info, value, save=False)

    def _matrix(self, config: Any) -> Matrix:
        values = [config[f"x{i}"] for i in range(len(self._dimensions))]
        return self._problem.domain.canonical(np.array([values], dtype=np.float64))


def _single_thread(forest: Any) -> Any:
    """The forest, fitted by one thread: as many as there are cores only slow its ten trees down."""
    forest._rf_opts["n_jobs"] = 1
    return forest


def _unused(config: Any, seed: int = 0) -> float:
    raise AssertionError("SMAC is driven by ask and tell")


def _hyperparameter(name: str, dist: BaseDistribution) -> Any:
    """The same range in ConfigSpace; choices by their index, as in a matrix."""
    import ConfigSpace

    if isinstance(dist, CategoricalDistribution):
        return ConfigSpace.CategoricalHyperparameter(name, list(range(len(dist.choices))))
    if isinstance(dist, FloatDistribution):
        return ConfigSpace.UniformFloatHyperparameter(name, dist.low, dist.high, log=dist.log)
    assert isinstance(dist, IntDistribution)
    if dist.step != 1:
        return ConfigSpace.OrdinalHyperparameter(name, list(range(dist.low, dist.high + 1, dist.step)))
    return ConfigSpace.UniformIntegerHyperparameter(name, dist.low, dist.high, log=dist.log)
