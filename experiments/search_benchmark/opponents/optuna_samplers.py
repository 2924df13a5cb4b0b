"""Any Optuna sampler as an optimizer.

A proposal beyond a limit costs nothing to recognize: it is told to the study as pruned, with its
violation as Optuna's constraint, and the sampler is asked again; after some attempts a random
candidate within the limits takes its place.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping

import numpy as np
import optuna
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution
from optuna.samplers import BaseSampler
from optuna.trial import Trial, TrialState

from experiments.search_benchmark.opponents.base import Optimizer
from experiments.search_benchmark.problem import Array, Problem
from nars.space.genotypes import Matrix, from_genotypes, to_genotypes

__all__ = ["CubeOptimizer", "StudyOptimizer", "ordinal"]


class StudyOptimizer(Optimizer):
    """One candidate at a time, through `Study.ask` and `Study.tell`."""

    uses_constraints = True

    def __init__(
        self, problem: Problem, seed: int, make: Callable[[], BaseSampler], attempts: int = 30
    ) -> None:
        self.problem, self._rng, self._attempts = problem, np.random.default_rng(seed), attempts
        optuna.logging.set_verbosity(optuna.logging.ERROR)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
            sampler = make()
        self.study = optuna.create_study(sampler=sampler, directions=problem.directions)
        self._distributions = self._dimensions()
        self._trial: Trial | None = None

    def ask(self) -> Matrix:
        self._trial, matrix = self.ask_trial()
        return matrix

    def tell(self, matrix: Matrix, values: Array) -> None:
        assert self._trial is not None
        self.tell_trial(self._trial, values)

    def ask_trial(self) -> tuple[Trial, Matrix]:
        """A trial and its candidate [1, d], for callers that have several trials at once."""
        for _ in range(self._attempts):
            trial, matrix = self._propose()
            if self.problem.feasible(matrix).all():
                return trial, matrix
            self.study.tell(trial, state=TrialState.PRUNED)
            self.rejected += 1
        self.study.enqueue_trial(self._parameters(self.problem.sample(1, self._rng)))
        return self._propose()

    def tell_trial(self, trial: Trial, values: Array) -> None:
        """The objectives [1, k] measured for the candidate of a trial."""
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
            self.study.tell(trial, values[0].tolist())

    def _propose(self) -> tuple[Trial, Matrix]:
        trial = self.study.ask(self._distributions)
        matrix = self._matrix(trial.params)
        if self.uses_constraints:
            for name, violation in self.problem.violations(matrix).items():
                trial.set_constraint(name, violation[0])
        return trial, matrix

    def _dimensions(self) -> dict[str, BaseDistribution]:
        return dict(self.problem.domain.distributions)

    def _matrix(self, parameters: Mapping[str, object]) -> Matrix:
        return from_genotypes(self.problem.domain, [parameters])

    def _parameters(self, matrix: Matrix) -> dict[str, object]:
        return to_genotypes(self.problem.domain, matrix)[0]


class CubeOptimizer(StudyOptimizer):
    """Serves samplers of continuous dimensions only: every ordered dimension becomes an interval."""

    uses_constraints = False  # CMA-ES warns where there are any

    def _dimensions(self) -> dict[str, BaseDistribution]:
        return {name: FloatDistribution(0.0, 1.0) for name in self.problem.domain.distributions}

    def _matrix(self, parameters: Mapping[str, object]) -> Matrix:
        unit = np.array([[parameters[name] for name in self._distributions]], dtype=np.float64)
        return self.problem.domain.canonical(self.problem.domain.dimensions.from_unit(unit))

    def _parameters(self, matrix: Matrix) -> dict[str, object]:
        return dict(
            zip(self._distributions, self.problem.domain.dimensions.to_unit(matrix)[0].tolist(), strict=True)
        )


def ordinal(problem: Problem) -> bool:
    """Whether every dimension has an order: numbers, or choices that are rising numbers."""

    def ordered(dist: BaseDistribution) -> bool:
        if not isinstance(dist, CategoricalDistribution):
            return True
        numbers = [x for x in dist.choices if isinstance(x, int | float) and not isinstance(x, bool)]
        return len(numbers) == len(dist.choices) and numbers == sorted(numbers)

    return problem.cost is None and all(map(ordered, problem.domain.distributions.values()))
