"""What a search adds to any Optuna sampler: limits, confirmation, and a name on every trial."""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable, Sequence
from datetime import datetime
from functools import partial
from importlib.util import find_spec
from typing import Any

import numpy as np
import optuna
from optuna.distributions import BaseDistribution
from optuna.exceptions import ExperimentalWarning
from optuna.samplers import BaseSampler
from optuna.study import Study
from optuna.trial import FrozenTrial, TrialState

from nars.errors import UsageError, closest
from nars.predictors import PredictorName
from nars.predictors.knowledge import EarlierSearch, Knowledge
from nars.sampling.sampler import NarsSampler
from nars.searching.budget import Budget
from nars.searching.confirm import is_confirmation, next_to_confirm
from nars.space import feasible, genotypes
from nars.space.feasible import Limits, Reservoir
from nars.space.genotypes import Domain, Genotype, Matrix
from nars.trials import Record, place, write

__all__ = ["SAMPLERS", "Restarted", "SearchSampler", "check_sampler", "make_sampler"]

SAMPLERS = ("nars", "random", "qmc", "tpe", "nsga2", "nsga3", "gp", "cmaes")
TRIES = 32
SLOW = ("gp",)
"""Samplers that take seconds for a proposal, and would make much the same one again."""
PATIENCE_SECONDS = 30.0
"""How long to wait for another worker's proposal; it may have died."""
NEAREST = 2048


def check_sampler(name: str, objectives: Sequence[str]) -> None:
    """Raise `UsageError` for a sampler that is not there, or not for so many objectives."""
    if name not in SAMPLERS:
        raise UsageError(f"no sampler {name!r}: {closest(name, SAMPLERS)}")
    if name == "cmaes" and len(objectives) > 1:
        raise UsageError(f"sampler cmaes has one objective, got {','.join(objectives)}; use nars or nsga2")
    if name == "cmaes" and find_spec("cmaes") is None:
        raise UsageError("sampler cmaes needs a package of that name: pip install 'nars[cmaes]'")


def make_sampler(
    name: str,
    space: Domain,
    limits: Limits,
    objectives: Sequence[str],
    seed: int,
    predictor: PredictorName = "gaussian",
    warm_start: Sequence[EarlierSearch] = (),
) -> BaseSampler:
    """The sampler of a name in `SAMPLERS`; the last two are for that of ours. Raises `UsageError`."""
    check_sampler(name, objectives)
    if name == "nars":
        return NarsSampler(
            space,
            limits=limits,
            objectives=objectives,
            predictor=predictor,
            knowledge=Knowledge(space, warm_start, seed) if warm_start else None,
            seed=seed,
        )
    return Restarted(partial(_optuna_sampler, name, seed), seed)


def _optuna_sampler(name: str, seed: int, drawn: int) -> BaseSampler:
    """A sampler for one trial: `seed` is that of the search, `drawn` the trial's own."""
    samplers = optuna.samplers
    with warnings.catch_warnings(category=ExperimentalWarning, action="ignore"):
        match name:
            case "random":
                return samplers.RandomSampler(seed=drawn)
            case "qmc":  # the sequence is the search's; what it has no dimension for is drawn
                rest = samplers.RandomSampler(seed=drawn)
                return samplers.QMCSampler(
                    seed=seed, scramble=True, independent_sampler=rest, warn_independent_sampling=False
                )
            case "tpe":
                return samplers.TPESampler(seed=drawn, multivariate=True)
            case "nsga2":
                return samplers.NSGAIISampler(seed=drawn, population_size=20)
            case "nsga3":
                return samplers.NSGAIIISampler(seed=drawn, population_size=20)
            case "gp":
                return samplers.GPSampler(seed=drawn)
    assert name == "cmaes", name
    return samplers.CmaEsSampler(seed=drawn, warn_independent_sampling=False)


class Restarted(BaseSampler):
    """An Optuna sampler made anew for every trial, from the seed and the trial's place.

    Optuna's samplers keep their random state in memory. Kept over trials, every worker and every
    restart would propose the same sequence again.
    """

    def __init__(self, make: Callable[[int], BaseSampler], seed: int) -> None:
        self._make = make
        self._seed = seed
        self._sampler = make(seed)

    def before_trial(self, study: Study, trial: FrozenTrial) -> None:
        entropy = [self._seed, place(study.get_trials(deepcopy=False), trial.number)]
        self._sampler = self._make(int(np.random.SeedSequence(entropy).generate_state(1)[0]))
        self._sampler.before_trial(study, trial)

    def infer_relative_search_space(self, study: Study, trial: FrozenTrial) -> dict[str, BaseDistribution]:
        return self._sampler.infer_relative_search_space(study, trial)

    def sample_relative(
        self, study: Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        return self._sampler.sample_relative(study, trial, search_space)

    def sample_independent(
        self, study: Study, trial: FrozenTrial, param_name: str, param_distribution: BaseDistribution
    ) -> Any:
        return self._sampler.sample_independent(study, trial, param_name, param_distribution)

    def after_trial(
        self, study: Study, trial: FrozenTrial, state: TrialState, values: Sequence[float] | None
    ) -> None:
        with warnings.catch_warnings(action="ignore", category=UserWarning):
            # CMA-ES warns of limits that it does not use; they hold all the same.
            self._sampler.after_trial(study, trial, state, values)

    def reseed_rng(self) -> None:
        """Nothing to do: another process has other trials, and so other seeds."""


class SearchSampler(BaseSampler):
    """Proposes whole, feasible genotypes of `space` with any `inner` sampler.

    In the last part of the budget it repeats the best candidates instead (see `nars.searching.confirm`).
    A sampler that knows no limits is asked again for a proposal outside them, and after `tries`
    of these its last one is moved to the nearest feasible candidate of a random sample.
    Every trial has the `record` from its start, such as who trains it.
    """

    def __init__(
        self,
        inner: BaseSampler,
        space: Domain,
        budget: Budget,
        limits: Limits,
        seed: int,
        record: Record,
        tries: int = TRIES,
    ) -> None:
        self.inner = inner
        self.space = space
        self.budget = budget
        self.limits = limits
        self.seed = seed
        self.record = record
        self.tries = tries
        self._reservoir = Reservoir(space, limits, seed)

    def before_trial(self, study: Study, trial: FrozenTrial) -> None:
        # Before anything slow: others see at once who trains it, and what of the budget it will take.
        write(study, trial, self.record)
        self.inner.before_trial(study, trial)

    def infer_relative_search_space(self, study: Study, trial: FrozenTrial) -> dict[str, BaseDistribution]:
        return dict(self.space.distributions)

    def sample_relative(
        self, study: Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        repeated: dict[str, Any] = trial.system_attrs.get("fixed_params", {})
        if search_space.keys() <= repeated.keys():
            return repeated
        trials = self._others(study, trial)
        earlier = [each for each in trials if each.number < trial.number]
        if is_confirmation(self.budget, earlier):
            best = next_to_confirm(trials, study.directions)
            if best is not None:
                return best.params
        for _ in range(self.tries):
            proposal = self._propose(study, trial)
            matrix = genotypes.from_genotypes(self.space, [proposal])
            if feasible.feasible(self.space, matrix, self.limits)[0]:
                return proposal
        return self._nearest(matrix, np.random.default_rng([self.seed, place(trials, trial.number)]))

    def _others(self, study: Study, trial: FrozenTrial) -> list[FrozenTrial]:
        """All other trials, once those asked for before have their genotypes.

        Two workers that ask at the same moment would otherwise be given the same candidate.
        """
        while True:
            trials = [each for each in study.get_trials(deepcopy=False) if each.number != trial.number]
            if not any(each.number < trial.number and self._is_proposed(each) for each in trials):
                return trials
            time.sleep(0.05)

    def _is_proposed(self, trial: FrozenTrial) -> bool:
        """Whether another worker is just about to know the trial's genotype."""
        if trial.state != TrialState.RUNNING or trial.params.keys() >= self.space.distributions.keys():
            return False
        assert trial.datetime_start is not None
        return (datetime.now() - trial.datetime_start).total_seconds() < PATIENCE_SECONDS

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
        pool = self._reservoir.draw(NEAREST, rng)
        distances = self.space.dimensions.to_unit(pool) - self.space.dimensions.to_unit(proposal)
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
