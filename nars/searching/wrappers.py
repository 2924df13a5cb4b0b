"""The wrapper that adds limits, confirmation and a signature on every trial to any Optuna sampler."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any, Self

import numpy as np
from optuna.distributions import BaseDistribution
from optuna.samplers import BaseSampler
from optuna.study import Study
from optuna.trial import FrozenTrial, TrialState

from nars.internals import all_trials
from nars.predictors.knowledge import EarlierSearch
from nars.runs.budget import Budget
from nars.runs.config import SearchConfig
from nars.sampling.strategy import Strategy
from nars.searching.confirm import is_confirmation, next_to_confirm
from nars.searching.samplers import make_sampler
from nars.space import feasible, genotypes
from nars.space.feasible import Limits, Reservoir
from nars.space.genotypes import Domain, Genotype, Matrix
from nars.trials import Record, is_interrupted, place, write

__all__ = ["SearchSampler"]

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


class SearchSampler(BaseSampler):
    """Proposes complete, feasible genotypes of `space` with any `inner` sampler.

    If `inner` proposes an infeasible candidate, it is asked again; after `tries` such proposals the
    last one is replaced by the nearest candidate of a random feasible sample. After an interruption it is
    also asked again for a candidate that another trial has. In the last part of the budget the best
    candidates are repeated instead (see `nars.searching.confirm`). Every trial has the `signature` in its
    record from the start: who trains it, and how much budget it may take.
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
        self._given_up: set[int] = set()
        """Numbers of trials whose genotypes were waited for in vain."""

    @classmethod
    def of(
        cls,
        config: SearchConfig,
        domain: Domain,
        signature: Record,
        budget: Budget | None = None,
        foretold: tuple[EarlierSearch, ...] = (),
        first: tuple[Genotype, ...] = (),
    ) -> Self:
        """Make the sampler of a search over its domain, which learns from `foretold` as from a warm start.

        Our own sampler begins with the candidates `first` and one more, and predicts from then on. A `budget`
        takes the place of the whole one.
        """
        inner = make_sampler(
            config.sampler,
            domain,
            config.limits,
            config.objectives,
            config.seed,
            config.predictor,
            config.warm_start + foretold,
            Strategy(first=first, first_batch=len(first) + 1) if first else None,
        )
        tries = 1 if config.sampler in SLOW else TRIES
        return cls(inner, domain, budget or config.total, config.limits, config.seed, signature, tries)

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
        taken = _taken(others)
        for _ in range(self.tries):
            proposal = self._propose(study, trial)
            if proposal in taken:
                taken = [
                    genotype for genotype in taken if genotype != proposal
                ]  # proposed again, it is meant
                continue
            matrix = genotypes.from_genotypes(self.space, [proposal])
            if feasible.feasible(self.space, matrix, self.limits)[0]:
                return proposal
        matrix = genotypes.from_genotypes(self.space, [proposal])
        return self._nearest(matrix, np.random.default_rng([self.seed, place(others, trial.number)]))

    def _others(self, study: Study, trial: FrozenTrial) -> list[FrozenTrial]:
        """Return all other trials, of other brackets too, once those asked for earlier have their genotypes.

        Otherwise two workers that ask at the same moment would get the same candidate. A trial that was
        waited for in vain is not waited for again.
        """
        began = time.monotonic()
        while True:
            others = [other for other in all_trials(study) if other.number != trial.number]
            proposed = {
                other.number
                for other in others
                if other.number < trial.number and self._is_being_proposed(other)
            }
            if time.monotonic() - began >= PATIENCE_SECONDS:
                self._given_up |= proposed
            if proposed <= self._given_up:
                return others
            time.sleep(_POLL_SECONDS)

    def _is_being_proposed(self, trial: FrozenTrial) -> bool:
        """Whether another worker is still computing the trial's genotype."""
        return trial.state == TrialState.RUNNING and not (
            trial.params.keys() >= self.space.distributions.keys()
        )

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


def _taken(others: Sequence[FrozenTrial]) -> list[Genotype]:
    """Return the genotypes that are, or will be, trained, if a trial was interrupted; otherwise none.

    Samplers are seeded with a trial's place, and an interruption moves the places of the trials after it, so
    a later one may be given the genotype of an earlier one. Without it they repeat what they mean to repeat.
    """
    if not any(map(is_interrupted, others)):
        return []
    return [
        {**other.system_attrs.get("fixed_params", {}), **other.params}
        for other in others
        if not is_interrupted(other)
    ]
