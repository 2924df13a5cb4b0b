"""What a search adds to any Optuna sampler: limits, confirmation, and a name on every trial."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import optuna
from optuna.distributions import BaseDistribution
from optuna.samplers import BaseSampler
from optuna.study import Study
from optuna.trial import FrozenTrial, TrialState

from nars import feasible, genotypes
from nars.budget import Budget, counts
from nars.confirm import is_confirmation, next_to_confirm
from nars.errors import UsageError, closest
from nars.feasible import Limits
from nars.genotypes import Domain, Genotype, Matrix
from nars.sampler import NarsSampler

__all__ = ["SAMPLERS", "WORKER", "SearchSampler", "make_sampler"]

WORKER = "worker"
"""User attribute: which process trains a trial."""

SAMPLERS = ("nars", "random", "qmc", "tpe", "nsga2", "nsga3", "gp", "cmaes")
TRIES = 32
NEAREST = 2048


def make_sampler(
    name: str, space: Domain, budget: Budget, limits: Limits, objectives: Sequence[str], seed: int
) -> BaseSampler:
    """The sampler of a name in `SAMPLERS`. Raises `UsageError`."""
    others = {
        "random": lambda: optuna.samplers.RandomSampler(seed=seed),
        "qmc": lambda: optuna.samplers.QMCSampler(seed=seed, scramble=True, warn_independent_sampling=False),
        "tpe": lambda: optuna.samplers.TPESampler(seed=seed, multivariate=True),
        "nsga2": lambda: optuna.samplers.NSGAIISampler(seed=seed, population_size=20),
        "nsga3": lambda: optuna.samplers.NSGAIIISampler(seed=seed, population_size=20),
        "gp": lambda: optuna.samplers.GPSampler(seed=seed),
        "cmaes": lambda: optuna.samplers.CmaEsSampler(seed=seed, warn_independent_sampling=False),
    }
    if name == "nars":
        return NarsSampler(space, budget=budget, limits=limits, objectives=objectives, seed=seed)
    if name not in others:
        raise UsageError(f"no sampler {name!r}: {closest(name, SAMPLERS)}")
    return others[name]()


class SearchSampler(BaseSampler):
    """Proposes whole, feasible genotypes of `space` with any `inner` sampler.

    In the last part of the budget it repeats the best candidates instead (see `nars.confirm`).
    A sampler that knows no limits is asked again for a proposal outside them, and after `TRIES`
    of these its last one is moved to the nearest feasible candidate of a random sample.
    """

    def __init__(
        self, inner: BaseSampler, space: Domain, budget: Budget, limits: Limits, seed: int, worker: str
    ) -> None:
        self.inner = inner
        self.space = space
        self.budget = budget
        self.limits = limits
        self.seed = seed
        self.worker = worker

    def before_trial(self, study: Study, trial: FrozenTrial) -> None:
        # Before anything slow, so that a trial can be told from one whose worker has died.
        study._storage.set_trial_user_attr(trial._trial_id, WORKER, self.worker)
        self.inner.before_trial(study, trial)

    def infer_relative_search_space(self, study: Study, trial: FrozenTrial) -> dict[str, BaseDistribution]:
        return dict(self.space.distributions)

    def sample_relative(
        self, study: Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        trials = [each for each in study.get_trials(deepcopy=False) if each.number != trial.number]
        earlier = [each for each in trials if each.number < trial.number]
        if is_confirmation(self.budget, earlier):
            repeated = next_to_confirm(trials, study.directions)
            if repeated is not None:
                return repeated.params
        for _ in range(TRIES):
            proposal = self._propose(study, trial)
            matrix = genotypes.from_genotypes(self.space, [proposal])
            if feasible.feasible(self.space, matrix, self.limits)[0]:
                return proposal
        position = sum(map(counts, earlier))
        return self._nearest(matrix, np.random.default_rng([self.seed, position]))

    def _propose(self, study: Study, trial: FrozenTrial) -> Genotype:
        relative = self.inner.infer_relative_search_space(study, trial)
        proposal = self.inner.sample_relative(study, trial, relative)
        return {
            name: proposal[name]
            if name in proposal
            else self.inner.sample_independent(study, trial, name, distribution)
            for name, distribution in self.space.distributions.items()
        }

    def _nearest(self, proposal: Matrix, rng: np.random.Generator) -> Genotype:
        pool = feasible.sample(self.space, self.limits, NEAREST, rng, quasi=False)
        distances = genotypes.to_unit(self.space, pool) - genotypes.to_unit(self.space, proposal)
        nearest = pool[[np.argmin((distances**2).sum(axis=1))]]
        return genotypes.to_genotypes(self.space, nearest)[0]

    def sample_independent(
        self, study: Study, trial: FrozenTrial, param_name: str, param_distribution: BaseDistribution
    ) -> Any:
        return self.inner.sample_independent(study, trial, param_name, param_distribution)

    def after_trial(
        self, study: Study, trial: FrozenTrial, state: TrialState, values: Sequence[float] | None
    ) -> None:
        self.inner.after_trial(study, trial, state, values)

    def reseed_rng(self) -> None:
        self.inner.reseed_rng()
