"""`NarsSampler`: predictor-guided joint search as an Optuna sampler.

Proposals are made in rounds (FBNetV3, CVPR 2021, section 3):

1. the first batch is spread evenly over the part of the space within the limits;
2. then, round by round, a predictor is fitted to everything measured before. An evolutionary search
   on it, started from the best measured and random candidates, looks for the largest expected
   improvement. Of all candidates it visits, the batch with the largest joint improvement is trained.

The paper lets evolution take over from a scored pool late in the search. Here it serves every
round, and its scores are expected improvements, which trade the predictor's mean against its
uncertainty. The benchmark of searches (experiments/search_benchmark) compares it with
variants that each lack one part.

The sampler holds no state that the study does not: a proposal follows from the trials and the seed.
So a search that was killed and resumed continues as if it had not been interrupted, and workers on
one storage complement each other.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray
from optuna.distributions import BaseDistribution
from optuna.samplers import BaseSampler, RandomSampler
from optuna.study import Study, StudyDirection
from optuna.trial import FrozenTrial

from nars.errors import UsageError
from nars.predictors import Predictor, PredictorName, make_predictor
from nars.sampling.history import History
from nars.sampling.predictions import Predictions
from nars.sampling.rounds import FIRST_BATCH, Rounds
from nars.sampling.strategy import Strategy
from nars.space import genotypes
from nars.space.feasible import Limits, Reservoir
from nars.space.genotypes import Domain, Matrix
from nars.trials import Record, labels, write

__all__ = ["NarsSampler"]

_SPARE = 16
"""Candidates chosen beyond a round's own, for workers that propose at the same time."""

_POOL = 4096
"""Random candidates to look through for what prior knowledge prefers, or for a new one."""


class NarsSampler(BaseSampler):
    """Samples a `Domain`, such as a `nars.space.Space`, guided by a predictor of the score.

    - `limits`: hold for every proposal (`nars.errors.InfeasibleError` if nothing meets them).
    - `objectives`: names of the study's objectives. One that is a statistic of the domain (``macs``)
      is known beforehand; the others are predicted.
    - `first_batch`: trials before the first prediction.
    - `predictor`: a name in `nars.predictors.PREDICTORS`, or a template that is cloned for every fit, to
      scores on a `nars.predictors.scores.LabelScale`.
    - `knowledge`: what earlier searches predict for genotypes [n, d], larger is better: [n, k], such as
      `nars.predictors.knowledge.Knowledge`. It chooses half of the first batch, and the
      Gaussian process takes it as additional inputs.
    - `strategy`: the other parts of a proposal.

    A trial whose score was predicted when it was proposed has the prediction in its
    `nars.trials.Record`.
    """

    def __init__(
        self,
        space: Domain,
        *,
        limits: Limits | None = None,
        objectives: Sequence[str] = ("accuracy",),
        first_batch: int = FIRST_BATCH,
        predictor: PredictorName | Predictor = "gaussian",
        knowledge: Callable[[Matrix], NDArray[np.float64]] | None = None,
        seed: int = 0,
        strategy: Strategy | None = None,
    ) -> None:
        self.space = space
        self.limits = dict(limits or {})
        self.objectives = tuple(objectives)
        self.rounds = Rounds(first_batch)
        self.seed = seed
        self.knowledge = knowledge
        self.strategy = strategy or Strategy()
        self._given_predictor = predictor
        self._history = History(space, self.limits)
        self._independent = RandomSampler(seed=seed)
        self._reservoir = Reservoir(space, self.limits, seed)
        self._batch: tuple[_RoundKey, Matrix] | None = None
        self._predictions: tuple[_RoundKey, Predictions] | None = None

    @cached_property
    def predictor(self) -> Predictor:
        """The template of every fit; one given by name is made at its first use."""
        if isinstance(self._given_predictor, str):
            return make_predictor(self._given_predictor, self.space, self.seed, self.knowledge)
        return self._given_predictor

    @cached_property
    def first_candidates(self) -> Matrix:
        """Genotypes [n, d] for the first batch, and as many spares; `knowledge` picks every second one."""
        rng = np.random.default_rng(self.seed)
        start = self.strategy.start(self._reservoir, 2 * self.rounds.first_batch, rng)
        if self.knowledge is not None:
            pool = self._reservoir.draw(_POOL, rng)
            ranked = pool[np.argsort(-self.knowledge(pool).mean(axis=1), kind="stable")]
            start = self.strategy.prefer(self.space, start, ranked, rng)
        return start

    def reseed_rng(self) -> None:
        self._independent.reseed_rng()

    def infer_relative_search_space(self, study: Study, trial: FrozenTrial) -> dict[str, BaseDistribution]:
        return dict(self.space.distributions)

    def sample_independent(
        self, study: Study, trial: FrozenTrial, param_name: str, param_distribution: BaseDistribution
    ) -> Any:
        """A random value for a parameter that the space does not know."""
        return self._independent.sample_independent(study, trial, param_name, param_distribution)

    def sample_relative(
        self, study: Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        """The next genotype; its prediction, if there is one, is written down with the trial.

        Raises `UsageError` if the study has another number of objectives.
        """
        if not search_space:
            return {}
        if len(self.objectives) != len(study.directions):
            asked = ", ".join(self.objectives)
            raise UsageError(f"the sampler's objectives are {asked}; the study has {len(study.directions)}")
        trials = study.get_trials(deepcopy=False)
        before = self._history.before(trials, trial.number)
        place = len(before)  # the same for a trial and its repetition
        start = self.rounds.start(place)
        labelled = self._history.labelled(study, before[:start])
        batch = self._round_batch(study, before[:start], labelled) if start else self.first_candidates
        others = [other for other in trials if other.number != trial.number]
        row = self._next(batch, place - start, others, np.random.default_rng([self.seed, place]))
        genotype = genotypes.to_genotypes(self.space, row[None])[0]
        if len(labelled) >= 2:
            fixed = trial.system_attrs.get("fixed_params", {})  # an enqueued trial keeps its values
            final = {name: fixed.get(name, value) for name, value in genotype.items()}
            self._note_prediction(study, trial, final, labelled)
        return genotype

    def _next(
        self, batch: Matrix, nth: int, others: Sequence[FrozenTrial], rng: np.random.Generator
    ) -> NDArray[np.float64]:
        """The `nth` candidate of a batch, or the first after it that was not tried; else a random one.

        Workers that start together do not see each other's proposals, so each begins at its own number.
        """
        exclusions = self._history.exclusions(others)
        turn = nth % max(len(batch), 1)
        row = exclusions.first_new(np.concatenate([batch[turn:], batch[:turn]]))
        if row is None:
            pool = self._reservoir.draw(_POOL, rng)
            row = exclusions.first_new(pool)
            row = pool[0] if row is None else row  # everything was tried: once more, then
        return row

    def _note_prediction(
        self, study: Study, trial: FrozenTrial, genotype: Mapping[str, Any], labelled: Sequence[FrozenTrial]
    ) -> None:
        prediction = self.predictions(study, labelled).score(self._history.matrix([genotype]))
        if prediction is not None:
            write(study, trial, Record(predicted=prediction[0], predicted_sd=prediction[1]))

    def _round_batch(
        self, study: Study, before: Sequence[FrozenTrial], labelled: Sequence[FrozenTrial]
    ) -> Matrix:
        """Genotypes [n, d] for the round after these trials, the most valuable first; none without labels."""
        if len(labelled) < 2:
            return np.zeros((0, len(self.space.distributions)))
        key = _round_key(study, before, labelled)
        if self._batch is None or self._batch[0] != key:
            self._batch = key, self._choose(study, before, labelled)
        return self._batch[1]

    def _choose(self, study: Study, before: Sequence[FrozenTrial], labelled: Sequence[FrozenTrial]) -> Matrix:
        rng = np.random.default_rng([self.seed, len(before)])
        measured = self._history.matrix_of(labelled)
        acquisition = self.strategy.acquisition(self.predictions(study, labelled), measured)
        evolution = self.strategy.search(acquisition, measured, self._reservoir, rng)
        contenders = acquisition.contenders(evolution)
        proposed = self._history.proposed(before)
        new = contenders.where(self._history.exclusions(proposed).are_new(contenders.matrix))
        pending = self._history.matrix_of([trial for trial in proposed if not trial.state.is_finished()])
        return acquisition.choose(new, pending, self.rounds.size(len(before)) + _SPARE)

    def predictions(self, study: Study, trials: Sequence[FrozenTrial]) -> Predictions:
        """The predictors of all objectives that are not statistics, fitted to these trials.

        The most recent result is cached.
        """
        key = _round_key(study, trials, trials)
        if self._predictions is None or self._predictions[0] != key:
            matrix = self._history.matrix_of(trials)
            values = np.array([labels(study, trial) for trial in trials])
            maximized = [direction == StudyDirection.MAXIMIZE for direction in study.directions]
            signs = {name: 1.0 if up else -1.0 for name, up in zip(self.objectives, maximized, strict=True)}
            self._predictions = key, Predictions.fitted(self.space, self.predictor, signs, matrix, values)
        return self._predictions[1]


_RoundKey = tuple[str, int, tuple[int, ...]]


def _round_key(study: Study, before: Sequence[FrozenTrial], labelled: Sequence[FrozenTrial]) -> _RoundKey:
    """The study, how many trials come before, and which of them were learned from."""
    return study.study_name, len(before), tuple(trial.number for trial in labelled)
