"""The samplers that a search can use, by name: ours, and Optuna's made anew for every trial."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from importlib.util import find_spec
from typing import Any, get_args

import numpy as np
import optuna
from optuna.distributions import BaseDistribution
from optuna.exceptions import ExperimentalWarning
from optuna.samplers import BaseSampler
from optuna.study import Study
from optuna.trial import FrozenTrial, TrialState

from nars.errors import UsageError, closest
from nars.internals import all_trials
from nars.predictors import PredictorName
from nars.predictors.knowledge import EarlierSearch, Knowledge
from nars.runs.request import SamplerName
from nars.sampling.sampler import NarsSampler
from nars.sampling.strategy import Strategy
from nars.space.feasible import Limits
from nars.space.genotypes import Domain
from nars.trials import place

__all__ = ["SAMPLERS", "PerTrialSampler", "check_sampler", "make_sampler"]

SAMPLERS: tuple[SamplerName, ...] = get_args(SamplerName)
"""Names that `make_sampler` knows."""


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
    strategy: Strategy | None = None,
) -> BaseSampler:
    """Make the sampler called `name`; only ``nars`` uses `predictor`, `warm_start` and `strategy`.

    Raises `UsageError`.
    """
    check_sampler(name, objectives)
    if name == "nars":
        knowledge = Knowledge(space, warm_start, seed) if warm_start else None
        return NarsSampler(
            space,
            limits=limits,
            objectives=objectives,
            predictor=predictor,
            seed=seed,
            strategy=replace(strategy or Strategy(), knowledge=knowledge),
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
        entropy = [self._seed, place(all_trials(study), trial.number)]
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
