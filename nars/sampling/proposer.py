"""Makes the proposals of a sampler over one domain.

Proposals are made in rounds (FBNetV3, CVPR 2021, section 3):

1. the first batch is spread evenly over the part of the space within the limits;
2. then, round by round, a predictor is fitted to everything measured before. An evolutionary search
   on it, started from the best measured and random candidates, looks for the largest expected
   improvement. Of all candidates it visits, the batch with the largest joint improvement is trained.

The paper lets evolution take over from a scored pool late in the search. Here it serves every
round, and its scores are expected improvements, which trade the predictor's mean against its
uncertainty. The benchmark of searches (experiments/search_benchmark) compares it with
variants that each lack one part.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray
from optuna.study import Study, StudyDirection
from optuna.trial import FrozenTrial

from nars.internals import all_trials
from nars.predictors import Predictor, PredictorName, make_predictor
from nars.sampling.evidence import Evidence, evidence
from nars.sampling.feasibility import Feasibility
from nars.sampling.history import Exclusions, History
from nars.sampling.parameters.domain import Parameters
from nars.sampling.predictions import Predictions
from nars.sampling.promising import promising
from nars.sampling.rounds import Rounds
from nars.sampling.strategy import Strategy
from nars.space import genotypes
from nars.space.feasible import Limits, Reservoir
from nars.space.genotypes import Domain, Genotype, Matrix
from nars.space.values import contains
from nars.trials import Record, write

__all__ = ["Proposer", "Settings"]

logger = logging.getLogger(__name__)

_SPARE = 16
"""Candidates chosen beyond a round's own, for workers that propose at the same time."""

_POOL = 4096
"""Random candidates to look through for what prior knowledge prefers, or for a new one."""


@dataclass(frozen=True)
class Settings:
    """Everything that decides proposals besides the domain and the trials."""

    limits: Limits
    objectives: tuple[str, ...]
    """The names of the study's objectives."""
    seed: int
    predictor: PredictorName | Predictor
    strategy: Strategy


class Proposer:
    """Proposes candidates of `domain`, from the trials of a study and `settings`.

    It holds no state that the study does not, only caches.
    """

    def __init__(self, domain: Domain, settings: Settings) -> None:
        self.domain = domain
        self.settings = settings
        self.rounds = Rounds(settings.strategy.first_batch)
        plain = isinstance(domain, Parameters)
        optional = domain.activity.optional if isinstance(domain, Parameters) else frozenset()
        self.history = History(domain, settings.limits, optional, plain)
        self._reservoir = Reservoir(domain, settings.limits, settings.seed)
        self._batch: tuple[_RoundKey, Matrix] | None = None
        self._predictions: tuple[_RoundKey, Predictions] | None = None
        self._repeats = False
        """Whether it was said that candidates are tried again."""

    @cached_property
    def predictor(self) -> Predictor:
        """The template of every fit; one given by name is made at its first use."""
        given, strategy = self.settings.predictor, self.settings.strategy
        if isinstance(given, str):
            return make_predictor(given, self.domain, self.settings.seed, strategy.knowledge)
        return given

    @cached_property
    def first_candidates(self) -> Matrix:
        """Genotypes [n, d] for the first batch, and as many spares.

        The `first` of the strategy begin; of the others, `knowledge` picks every second one.
        """
        rng, strategy = np.random.default_rng(self.settings.seed), self.settings.strategy
        start = strategy.start(self._reservoir, 2 * self.rounds.first_batch, rng)
        if strategy.knowledge is not None:
            pool = self._reservoir.draw(_POOL, rng)
            ranked = pool[np.argsort(-strategy.knowledge(pool).mean(axis=1), kind="stable")]
            start = strategy.prefer(self.domain, start, ranked, rng)
        return np.concatenate([genotypes.from_genotypes(self.domain, strategy.first), start])

    @cached_property
    def later_candidates(self) -> Matrix:
        """Genotypes [n, d] for workers that ask while others train, before there are results."""
        settings = self.settings
        return promising(
            self._reservoir,
            self.first_candidates[: self.rounds.first_batch],
            settings.strategy.knowledge,
            by_size=bool(settings.limits) and len(settings.objectives) == 1,
            rng=np.random.default_rng([settings.seed, 1]),
        )

    def propose(self, study: Study, trial: FrozenTrial) -> Genotype:
        """The next genotype; its prediction, if there is one, is written down with the trial."""
        trials = study.get_trials(deepcopy=False)
        before = self.history.before(trials, trial.number)  # the same for a trial and its repetition
        seen = evidence(before, self.rounds, self.history.required)
        labelled = self.history.labelled(study, seen.known)
        # Under Hyperband a study shows one bracket; what others have tried is not repeated either.
        known = trials if len(trials) > trial.number else all_trials(study)
        exclusions = self.history.exclusions([other for other in known if other.number != trial.number])
        batch, turn = self._batch_of(study, seen, labelled, exclusions)
        fixed = trial.system_attrs.get("fixed_params", {})  # an enqueued trial keeps its values
        row = self._next(self._holding(fixed, batch), turn, seen.place, exclusions, fixed)
        genotype = genotypes.to_genotypes(self.domain, row[None])[0]
        if len(labelled) >= 2:
            final = {name: fixed.get(name, value) for name, value in genotype.items()}
            self._note_prediction(study, trial, final, self.predictions(study, labelled, seen.known))
        return genotype

    def _batch_of(
        self, study: Study, seen: Evidence, labelled: Sequence[FrozenTrial], exclusions: Exclusions
    ) -> tuple[Matrix, int]:
        """The candidates [n, d] of a round, the most valuable first, and the number of the one to propose.

        Workers that start together do not see each other's proposals, so each begins at its own number.
        """
        if self._is_first(seen):
            return self.first_candidates, seen.place
        if len(labelled) < 2 or seen.place < self.rounds.first_batch:  # many failed, or many run
            return (self.first_candidates[:0], 0) if seen.alone else (self.later_candidates, seen.place - 1)
        key = _round_key(study, seen.known, labelled)
        last = self._batch  # another thread may replace it
        if last is not None and last[0] == key:
            if seen.alone:
                return last[1], seen.turn
            new = last[1][exclusions.are_new(last[1])]
            if len(new) > seen.turn:
                return new, seen.turn
        batch = self._choose(study, seen, labelled)
        self._batch = key, batch
        return (batch if seen.alone else batch[exclusions.are_new(batch)]), seen.turn

    def _is_first(self, seen: Evidence) -> bool:
        """Whether a proposal is of the first batch; beside others, only if something chose that batch."""
        strategy = self.settings.strategy
        chosen = bool(strategy.first) or strategy.knowledge is not None
        return seen.place < self.rounds.first_batch and (seen.alone or chosen)

    def _holding(self, fixed: Mapping[str, Any], matrix: Matrix) -> Matrix:
        """The genotypes [n, d] with the values that a trial is to have, as far as these meet the limits."""
        known = self.domain.distributions
        held = {name: each for name, each in fixed.items() if name in known and contains(known[name], each)}
        if not held or not len(matrix):
            return matrix
        changed = [{**genotype, **held} for genotype in genotypes.to_genotypes(self.domain, matrix)]
        rows = self.domain.canonical(genotypes.from_genotypes(self.domain, changed))
        return np.asarray(rows[self._reservoir.allows(rows)])

    def _next(
        self, batch: Matrix, turn: int, place: int, exclusions: Exclusions, fixed: Mapping[str, Any]
    ) -> NDArray[np.float64]:
        """The candidate of a batch whose turn it is, or the first after it that is new; else a random one."""
        turn %= max(len(batch), 1)
        row = exclusions.first_new(np.concatenate([batch[turn:], batch[:turn]]))
        if row is None:
            drawn = self._reservoir.draw(_POOL, np.random.default_rng([self.settings.seed, place]))
            pool = self._holding(fixed, drawn)
            pool = pool if len(pool) else drawn
            row = exclusions.first_new(pool)
        if row is None:
            if not self._repeats:
                logger.warning(
                    "no candidate that was not tried is left: some are tried again, drawn at random"
                )
            self._repeats = True
            row = pool[0]
        return row

    def _note_prediction(
        self, study: Study, trial: FrozenTrial, genotype: Mapping[str, Any], predictions: Predictions
    ) -> None:
        prediction = predictions.score(self.history.matrix([genotype]))
        if prediction is not None:
            write(study, trial, Record(predicted=prediction[0], predicted_sd=prediction[1]))

    def _choose(self, study: Study, seen: Evidence, labelled: Sequence[FrozenTrial]) -> Matrix:
        rng = np.random.default_rng([self.settings.seed, len(seen.known)])
        strategy, measured = self.settings.strategy, self.history.matrix_of(labelled)
        others = self.history.proposed(seen.others)
        running = self.history.matrix_of(others)
        known = self.predictions(study, labelled, seen.known)
        predictions = known.believing(running)
        taken = np.concatenate([measured, running])
        acquisition = strategy.acquisition(predictions, taken)
        evolution = strategy.search(acquisition, taken, self._reservoir, rng)
        contenders = acquisition.contenders(evolution)
        tried = [*self.history.proposed(seen.known), *others]
        new = contenders.where(self.history.exclusions(tried).are_new(contenders.matrix))
        count = self.rounds.size(len(seen.known)) + _SPARE + (0 if seen.alone else seen.turn)
        return acquisition.choose(new, running if predictions is known else running[:0], count)

    def predictions(
        self, study: Study, labelled: Sequence[FrozenTrial], before: Sequence[FrozenTrial] | None = None
    ) -> Predictions:
        """The predictors of all objectives that are not statistics, fitted to these trials.

        Those `before`, by default the same, tell where constraints hold. The most recent result is cached.
        """
        before = labelled if before is None else before
        key = _round_key(study, before, labelled)
        if self._predictions is None or self._predictions[0] != key:
            matrix = self.history.matrix_of(labelled)
            values = self.history.values(study, labelled)
            maximized = [direction == StudyDirection.MAXIMIZE for direction in study.directions]
            names = self.settings.objectives
            signs = {name: 1.0 if up else -1.0 for name, up in zip(names, maximized, strict=True)}
            feasible = self._feasibility(before)
            fitted = Predictions.fitted(self.domain, self.predictor, signs, matrix, values, feasible)
            self._predictions = key, fitted
        return self._predictions[1]

    def _feasibility(self, trials: Sequence[FrozenTrial]) -> Feasibility:
        """Predicts the constraints that these trials measured; limits are known without a prediction."""
        tried = [trial for trial in self.history.proposed(trials) if trial.state.is_finished()]
        measured = self.history.constraints(tried)
        rows = [at for at, constraints in enumerate(measured) if constraints]
        matrix = self.history.matrix_of([tried[at] for at in rows])
        return Feasibility.fitted(self.predictor, matrix, [measured[at] for at in rows])


_RoundKey = tuple[str, int, datetime | None, tuple[int, ...]]


def _round_key(study: Study, before: Sequence[FrozenTrial], labelled: Sequence[FrozenTrial]) -> _RoundKey:
    """The study, how many trials come before, and which of them were learned from.

    Studies in other storages may have the same name; their trials did not finish in the same microsecond.
    """
    newest = before[-1].datetime_complete if before else None
    return study.study_name, len(before), newest, tuple(trial.number for trial in labelled)
