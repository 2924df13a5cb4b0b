"""Wrappers that add to any Optuna sampler: limits, confirmation, and a signature on every trial."""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable, Sequence
from datetime import datetime
from functools import partial
from importlib.util import find_spec
from typing import Any, Self

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
from nars.searching.config import SearchConfig
from nars.searching.confirm import is_confirmation, next_to_confirm
from nars.space import feasible, genotypes
from nars.space.feasible import Limits, Reservoir
from nars.space.genotypes import Domain, Genotype, Matrix
from nars.trials import Record, place, write

__all__ = ["SAMPLERS", "PerTrialSampler", "SearchSampler", "check_sampler", "make_sampler"]

SAMPLERS = ("nars", "random", "qmc", "tpe", "nsga2", "nsga3", "gp", "cmaes")
"""Samplers that a search can use, by name."""

TRIES = 32
"""Attempts of a sampler to propose a feasible candidate before its last proposal is moved to one."""

SLOW = ("gp",)
"""Samplers that get only one attempt, because it takes seconds and the next would be much the same."""

PATIENCE_SECONDS = 30.0
"""Longest wait for another worker's proposal; that worker may have died."""

_POLL_SECONDS = 0.05
"""Seconds between two checks whether the other worker has made its proposal."""

_POOL_SIZE = 2048
"""Random feasible candidates that the one nearest to an infeasible proposal is chosen from."""


def check_sampler(name: str, objectives: Sequence[str]) -> None:
    """Raise `UsageError` if the sampler does not exist or does not support these objectives."""
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
    """Make the sampler called `name`; only ``nars`` uses `predictor` and `warm_start`.

    Raises `UsageError`.
    """
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
    return PerTrialSampler(partial(_optuna_sampler, name, seed), seed)


def _optuna_sampler(name: str, seed: int, trial_seed: int) -> BaseSampler:
    """Make a sampler for one trial; `seed` is that of the search."""
    samplers = optuna.samplers
    with warnings.catch_warnings(category=ExperimentalWarning, action="ignore"):
        match name:
            case "random":
                return samplers.RandomSampler(seed=trial_seed)
            case "qmc":  # the sequence belongs to the search; dimensions outside it are random
                independent = samplers.RandomSampler(seed=trial_seed)
                return samplers.QMCSampler(
                    seed=seed,
                    scramble=True,
                    independent_sampler=independent,
                    warn_independent_sampling=False,
                )
            case "tpe":
                return samplers.TPESampler(seed=trial_seed, multivariate=True)
            case "nsga2":
                return samplers.NSGAIISampler(seed=trial_seed, population_size=20)
            case "nsga3":
                return samplers.NSGAIIISampler(seed=trial_seed, population_size=20)
            case "gp":
                return samplers.GPSampler(seed=trial_seed)
    assert name == "cmaes", name
    return samplers.CmaEsSampler(seed=trial_seed, warn_independent_sampling=False)


class PerTrialSampler(BaseSampler):
    """An Optuna sampler made anew for every trial, seeded with the search's seed and the trial's place.

    Optuna's samplers keep their random state in memory. If one sampler served all trials, every
    worker and every restart would propose the same sequence again.
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
            # CMA-ES warns that it ignores the limits, which `SearchSampler` enforces.
            self._sampler.after_trial(study, trial, state, values)

    def reseed_rng(self) -> None:
        """Do nothing: another process has other trials, hence other seeds."""


class SearchSampler(BaseSampler):
    """Proposes complete, feasible genotypes of `space` with any `inner` sampler.

    If `inner` proposes an infeasible candidate, it is asked again; after `tries` such proposals the
    last one is replaced by the nearest candidate of a random feasible sample. In the last part of the
    budget the best candidates are repeated instead (see `nars.searching.confirm`). Every trial has
    the `signature` in its record from the start: who trains it, and how much budget it may take.
    """

    def __init__(
        self,
        inner: BaseSampler,
        space: Domain,
        budget: Budget,
        limits: Limits,
        seed: int,
        signature: Record,
        tries: int = TRIES,
    ) -> None:
        self.inner = inner
        self.space = space
        self.budget = budget
        self.limits = limits
        self.seed = seed
        self.signature = signature
        self.tries = tries
        self._reservoir = Reservoir(space, limits, seed)

    @classmethod
    def of(cls, config: SearchConfig, domain: Domain, signature: Record) -> Self:
        """Make the sampler of a search over its domain."""
        inner = make_sampler(
            config.sampler,
            domain,
            config.limits,
            config.objectives,
            config.seed,
            config.predictor,
            config.warm_start,
        )
        tries = 1 if config.sampler in SLOW else TRIES
        return cls(inner, domain, config.total, config.limits, config.seed, signature, tries)

    def before_trial(self, study: Study, trial: FrozenTrial) -> None:
        # Signed before anything slow, so other workers see at once who trains the trial and its cost.
        write(study, trial, self.signature)
        self.inner.before_trial(study, trial)

    def infer_relative_search_space(self, study: Study, trial: FrozenTrial) -> dict[str, BaseDistribution]:
        return dict(self.space.distributions)

    def sample_relative(
        self, study: Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        repeated: dict[str, Any] = trial.system_attrs.get("fixed_params", {})
        if search_space.keys() <= repeated.keys():
            return repeated
        others = self._others(study, trial)
        earlier = [other for other in others if other.number < trial.number]
        if is_confirmation(self.budget, earlier):
            best = next_to_confirm(others, study.directions)
            if best is not None:
                return best.params
        for _ in range(self.tries):
            proposal = self._propose(study, trial)
            matrix = genotypes.from_genotypes(self.space, [proposal])
            if feasible.feasible(self.space, matrix, self.limits)[0]:
                return proposal
        return self._nearest(matrix, np.random.default_rng([self.seed, place(others, trial.number)]))

    def _others(self, study: Study, trial: FrozenTrial) -> list[FrozenTrial]:
        """Return all other trials, once those asked for earlier have their genotypes.

        Otherwise two workers that ask at the same moment would get the same candidate.
        """
        while True:
            others = [other for other in study.get_trials(deepcopy=False) if other.number != trial.number]
            if not any(other.number < trial.number and self._is_being_proposed(other) for other in others):
                return others
            time.sleep(_POLL_SECONDS)

    def _is_being_proposed(self, trial: FrozenTrial) -> bool:
        """Whether another worker is still computing the trial's genotype."""
        if trial.state != TrialState.RUNNING or trial.params.keys() >= self.space.distributions.keys():
            return False
        assert trial.datetime_start is not None
        return (datetime.now() - trial.datetime_start).total_seconds() < PATIENCE_SECONDS

    def _propose(self, study: Study, trial: FrozenTrial) -> Genotype:
        """Return a complete genotype from the inner sampler, feasible or not."""
        relative = self.inner.infer_relative_search_space(study, trial)
        proposal = self.inner.sample_relative(study, trial, relative)
        return {
            name: proposal[name]
            if name in proposal
            else self.inner.sample_independent(study, trial, name, distribution)
            for name, distribution in self.space.distributions.items()
        }

    def _nearest(self, proposal: Matrix, rng: np.random.Generator) -> Genotype:
        """Return the candidate of a random feasible sample nearest to a proposal [1, d] in the unit cube."""
        pool = self._reservoir.draw(_POOL_SIZE, rng)
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
