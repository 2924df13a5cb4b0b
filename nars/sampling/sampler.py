"""`NarsSampler`: predictor-guided search as an Optuna sampler, for any study.

`nars.sampling.proposer` makes the proposals. The sampler holds no state that the study does not: a proposal
follows from the trials and the seed. So a search that was killed and resumed continues as if it had not
been interrupted, and workers on one storage complement each other.
"""

from __future__ import annotations

import logging
import zlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from optuna.distributions import BaseDistribution
from optuna.samplers import BaseSampler
from optuna.study import Study
from optuna.trial import FrozenTrial, TrialState

from nars.errors import UsageError
from nars.internals import note_constraints
from nars.predictors import Predictor, PredictorName
from nars.sampling.parameters.arguments import (
    checked_constraints,
    checked_limits,
    checked_names,
    checked_seed,
)
from nars.sampling.parameters.costs import CostsFunction
from nars.sampling.parameters.domain import Parameters
from nars.sampling.parameters.source import Declared, only_value, source_of
from nars.sampling.proposer import Proposer, Settings
from nars.sampling.refinement import evolve_and_refine
from nars.sampling.strategy import Strategy
from nars.space import genotypes
from nars.space.feasible import Limits
from nars.space.genotypes import Domain
from nars.studies import sampler_seed, write_sampler_seed

__all__ = ["NarsSampler"]

logger = logging.getLogger(__name__)

_MOST_OBJECTIVES = 3
"""Objectives that a front is sought for; the exact hypervolume of more takes too long for every candidate."""


class NarsSampler(BaseSampler):
    """Samples the parameters of any study, guided by a predictor of the objectives.

    - `space`: nothing to learn the parameters from the trials, as Optuna's samplers do; a mapping of
      Optuna's distributions; or a domain such as a `nars.space.Space`.
    - `limits`: hold for every proposal (`nars.errors.InfeasibleError` if nothing meets them). They are on
      statistics of the domain (``macs``) or on `costs`, functions of given distributions.
    - `constraints_func`: constraints of a finished trial, of which 0 or less is feasible. Those, and the
      ones that `optuna.trial.Trial.set_constraint` sets, are learned.
    - `objectives`: names of the study's objectives. One that is a statistic or a cost
      is known beforehand; the others are predicted.
    - `predictor`: a name in `nars.predictors.PREDICTORS`, or a template that is cloned for every fit, to
      scores on a `nars.predictors.scores.LabelScale`.
    - `seed`: without one, it is drawn and kept in the study.
    - `strategy`: the other parts of a proposal, among them prior knowledge and the size of the first batch.

    Parameters that only some trials have, and those with one value, need nothing: the former are modelled
    as inactive in other trials, the latter are left out. What is not modelled is logged, once. A trial
    whose score was predicted when it was proposed has the prediction in its `nars.trials.Record`.
    """

    def __init__(
        self,
        space: Domain | Mapping[str, BaseDistribution] | None = None,
        *,
        limits: Limits | None = None,
        costs: CostsFunction | None = None,
        constraints_func: Callable[[FrozenTrial], Sequence[float]] | None = None,
        objectives: Sequence[str] | None = None,
        predictor: PredictorName | Predictor = "gaussian",
        seed: int | None = None,
        strategy: Strategy | None = None,
    ) -> None:
        self.limits = checked_limits(limits)
        self.objectives = checked_names(objectives)
        self.seed = checked_seed(seed)
        self._source = source_of(space, costs, self.limits)
        declared = isinstance(self._source, Declared)
        self.strategy = strategy or (Strategy() if declared else Strategy(search=evolve_and_refine))
        if not declared and (self.strategy.knowledge is not None or not isinstance(predictor, str)):
            raise UsageError("a predictor or knowledge of your own needs a domain: NarsSampler(space, ...)")
        self._predictor = predictor
        self._constraints_func = checked_constraints(constraints_func)
        self._proposer: Proposer | None = None
        self._said: set[str] = set()

    def __getstate__(self) -> dict[str, Any]:
        """Everything but the caches, which a copy or another process makes anew from its study."""
        return self.__dict__ | {"_proposer": None}

    def reseed_rng(self) -> None:
        """Do nothing: another process has other trials, and draws depend on their numbers."""

    def infer_relative_search_space(self, study: Study, trial: FrozenTrial) -> dict[str, BaseDistribution]:
        trials = study.get_trials(deepcopy=False)
        self._say(self._source.remarks(trials))
        return self._source.search_space(trials)

    def sample_independent(
        self, study: Study, trial: FrozenTrial, param_name: str, param_distribution: BaseDistribution
    ) -> Any:
        """A random value for a parameter that no proposal has: a new one, or one that is not modelled."""
        reason = self._source.about(param_name, study.get_trials(deepcopy=False))
        self._say([] if reason is None else [reason])
        if param_distribution.single():
            return only_value(param_distribution)
        domain = Parameters({param_name: param_distribution})
        entropy = [self.seed_of(study), trial.number, zlib.crc32(param_name.encode())]
        drawn = genotypes.sample(domain, 1, np.random.default_rng(entropy), quasi=False)
        return genotypes.to_genotypes(domain, drawn)[0][param_name]

    def sample_relative(
        self, study: Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        """Values for the parameters of `search_space`, as far as they are in the sampler's domain.

        Raises `UsageError` if the study has another number of objectives.
        """
        proposal = {name: only_value(dist) for name, dist in search_space.items() if dist.single()}
        if len(proposal) < len(search_space):
            proposal |= self.proposer(study, search_space).propose(study, trial)
        return {name: proposal[name] for name in search_space if name in proposal}

    def after_trial(
        self, study: Study, trial: FrozenTrial, state: TrialState, values: Sequence[float] | None
    ) -> None:
        if self._constraints_func is not None:
            note_constraints(self._constraints_func, study, trial, state)

    def proposer(self, study: Study, search_space: Mapping[str, BaseDistribution] | None = None) -> Proposer:
        """The maker of proposals in a study, by default of all parameters that are known."""
        trials = study.get_trials(deepcopy=False)
        domain = self._source.domain(search_space or self._source.search_space(trials), trials)
        settings = Settings(
            self.limits, self._objectives(study), self.seed_of(study), self._predictor, self.strategy
        )
        made = self._proposer
        if made is None or made.settings != settings or not (made.domain is domain or made.domain == domain):
            made = self._proposer = Proposer(domain, settings)
        return made

    def seed_of(self, study: Study) -> int:
        """The seed in a study, drawn now if the sampler has none and the study neither."""
        if self.seed is not None:
            return self.seed
        if (drawn := sampler_seed(study)) is None:
            write_sampler_seed(study, int(np.random.SeedSequence().generate_state(1)[0]))
            drawn = sampler_seed(study)  # another worker may have been first
            assert drawn is not None
        return drawn

    def _objectives(self, study: Study) -> tuple[str, ...]:
        count = len(study.directions)
        if count > _MOST_OBJECTIVES:
            raise UsageError(
                f"NarsSampler seeks fronts of at most {_MOST_OBJECTIVES} objectives, the study has {count}; "
                "use optuna.samplers.NSGAIIISampler"
            )
        if self.objectives is None:
            return tuple(f"objective {number}" for number in range(count))
        if len(self.objectives) != count:
            asked = ", ".join(self.objectives)
            raise UsageError(f"the sampler's objectives are {asked}; the study has {count}")
        return self.objectives

    def _say(self, remarks: Sequence[str]) -> None:
        for remark in remarks:
            if remark not in self._said:
                self._said.add(remark)
                logger.warning(remark)
