"""`NarsSampler`: predictor-guided joint search as an Optuna sampler.

Proposals are made in rounds (FBNetV3, CVPR 2021, section 3):

1. the first batch is spread evenly over what the limits leave of the space;
2. then, round by round, a predictor is fitted to all that was measured before, an evolutionary search
   on it, started from the best measured and random candidates, looks for the largest expected
   improvement, and of all that it came across what improves most together is trained.

The paper lets evolution take over from a scored pool late in the search. Here it serves every
round, and its scores are expected improvements, which trade the predictor's mean against its
uncertainty. The benchmark of searches (experiments/search_benchmark) has opponents without one part each.

It holds no state that the study does not: a proposal follows from the trials and the seed, so
that a killed and resumed search goes on as if it had not been interrupted, and workers on one
storage complement each other.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray
from optuna.distributions import BaseDistribution
from optuna.samplers import BaseSampler, RandomSampler
from optuna.study import Study, StudyDirection
from optuna.trial import FrozenTrial, TrialState
from sklearn.base import clone

from nars.errors import UsageError
from nars.predictors.scores import LabelScale
from nars.sampling.acquisition import Acquisition, Predictor
from nars.sampling.evolution import best_first, evolve
from nars.space import feasible, genotypes
from nars.space.feasible import Limits, Reservoir
from nars.space.genotypes import Domain, Matrix
from nars.trials import REFUSED, Record, counts, labels

__all__ = ["FIRST_BATCH", "PREDICTORS", "NarsSampler", "Predictor", "PredictorName"]

PredictorName = Literal["gaussian", "ensemble"]
PREDICTORS: tuple[PredictorName, ...] = get_args(PredictorName)
"""A Gaussian process (`nars.predictors.gaussian`) and the paper's networks (`nars.predictors.ensemble`)."""

_Fitted = tuple[dict[str, Predictor], dict[str, LabelScale]]

FIRST_BATCH = 6
"""Trials before the first prediction: with what a process knows of MACs and parameters, few are enough."""
SHARE = 1 / 16
"""Size of a round, as a share of the trials before it: of at least one trial."""
LARGEST = 32
"""Trials of a round at most."""
ELITE = 32
"""Best measured candidates that the evolution starts from."""
START = 256
"""Random candidates beside them."""
EVALUATIONS = 6000
"""Candidates that a round scores at most."""
SPARE = 16
"""Candidates ranked beyond a round's own, for workers that propose at the same time."""
POOL = 4096
"""Random candidates to look through for a new one where no prediction can be made."""


class NarsSampler(BaseSampler):
    """Samples a `Domain`, such as a `nars.space.Space`, guided by a predictor of the score.

    - `limits`: hold for every proposal (`nars.errors.InfeasibleError` where nothing meets them).
    - `objectives`: names of the study's objectives. One that is a statistic of the domain (``macs``)
      is known beforehand; the others are predicted.
    - `predictor`: of `PREDICTORS`, or a template that is cloned for every fit, to scores on a
      `nars.predictors.scores.LabelScale`.
    - `knowledge`: what earlier searches make of genotypes [n, d], larger is better: [n, k], such as
      `nars.predictors.knowledge.Knowledge`. The Gaussian process builds on it.
    """

    acquisition = Acquisition
    """What says which candidates are worth training."""

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
    ) -> None:
        self.space = space
        self.limits = dict(limits or {})
        self.objectives = tuple(objectives)
        self.first_batch = first_batch
        self.seed = seed
        self.knowledge = knowledge
        self._predictor = predictor
        self._independent = RandomSampler(seed=seed)
        self._start: Matrix | None = None
        self._reservoir = Reservoir(space, self.limits, seed)
        self._chosen: tuple[tuple[str, int, tuple[int, ...]], Matrix] | None = None
        self._fit: tuple[tuple[str, tuple[int, ...]], _Fitted] | None = None

    def reseed_rng(self) -> None:
        self._independent.reseed_rng()

    def infer_relative_search_space(self, study: Study, trial: FrozenTrial) -> dict[str, BaseDistribution]:
        return dict(self.space.distributions)

    def sample_independent(
        self, study: Study, trial: FrozenTrial, param_name: str, param_distribution: BaseDistribution
    ) -> Any:
        """Of a parameter that the space does not know."""
        return self._independent.sample_independent(study, trial, param_name, param_distribution)

    def sample_relative(
        self, study: Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        if not search_space:
            return {}
        if len(self.objectives) != len(study.directions):
            asked = ", ".join(self.objectives)
            raise UsageError(f"the sampler's objectives are {asked}; the study has {len(study.directions)}")
        trials = study.get_trials(deepcopy=False)
        tried = self._tried([each for each in trials if each.number != trial.number and self._is_ours(each)])
        earlier = self._earlier(trials, trial.number)
        place = len(earlier)  # a repeated trial changes none
        start = self._round(place)
        batch = self._batch(study, earlier[:start]) if start else self._first_candidates()
        # By place, not the first that is new: workers that start together see none of each other's.
        chosen = tried.first_new(np.roll(batch, start - place, axis=0))
        if chosen is None:
            pool = self._reservoir.draw(POOL, np.random.default_rng([self.seed, place]))
            chosen = tried.first_new(pool)
            chosen = pool[0] if chosen is None else chosen  # all were tried: once more, then
        return genotypes.to_genotypes(self.space, chosen[None])[0]

    def prediction(self, study: Study, trial: FrozenTrial) -> tuple[float, float] | None:
        """Mean and standard deviation predicted for a trial's genotype from those before it.

        Of the first objective that is not a statistic; None within the first batch.
        """
        earlier = self._earlier(study.get_trials(deepcopy=False), trial.number)
        labelled = self._labelled(study, earlier)
        if len(earlier) < self.first_batch or len(labelled) < 2:
            return None
        predictors, scales = self.fitted(study, labelled)
        for name, predictor in predictors.items():
            z, std = predictor.predict(self._matrix([trial]), return_std=True)
            return float(scales[name].inverse(z)[0]), float(scales[name].inverse_std(z, std)[0])
        return None

    def _tried(self, trials: Sequence[FrozenTrial]) -> _Tried:
        refused = [trial for trial in trials if Record.of(trial).void == REFUSED and self._is_over(trial)]
        return _Tried(self._matrix(trials), self._matrix(refused), ~self.space.dimensions.recipe)

    def _is_over(self, trial: FrozenTrial) -> bool:
        """Whether a limit did not hold when measured."""
        measured = Record.of(trial).measured
        return any(measured.get(name, 0) > limit for name, limit in self.limits.items())

    def _is_ours(self, trial: FrozenTrial) -> bool:
        """Whether a trial has a genotype of the space; a user's study may hold others."""
        return self.space.distributions.keys() <= trial.params.keys()

    def _earlier(self, trials: Sequence[FrozenTrial], number: int) -> list[FrozenTrial]:
        """The trials that the one of this number comes after, those just being proposed among them."""
        return [
            each
            for each in trials
            if each.number < number
            and counts(each)
            and (self._is_ours(each) or each.state == TrialState.RUNNING)
        ]

    def _labelled(self, study: Study, earlier: Sequence[FrozenTrial]) -> list[FrozenTrial]:
        """The trials that a proposal learns from: those of the rounds before its own."""
        known = earlier[: self._round(len(earlier))]
        return [trial for trial in known if self._is_ours(trial) and labels(study, trial) is not None]

    def _round(self, place: int) -> int:
        """The place at which the round of this one begins."""
        start = end = 0
        while end <= place:
            start, end = end, max(self.first_batch, end + _size(end))
        return start

    def _first_candidates(self) -> Matrix:
        """Spread evenly; every other one is the best of many by `knowledge`, where there is any."""
        if self._start is None:
            rng = np.random.default_rng(self.seed)
            self._start = feasible.sample(self.space, self.limits, 2 * self.first_batch, rng)
            if self.knowledge is not None:
                pool = self._reservoir.draw(POOL, rng)
                best = pool[np.argsort(-self.knowledge(pool).mean(axis=1), kind="stable")]
                self._start[::2] = best[: len(self._start[::2])]
        return self._start

    def _batch(self, study: Study, earlier: Sequence[FrozenTrial]) -> Matrix:
        """What to train after these, most worth first; nothing where nothing could be learned yet."""
        labelled = self._labelled(study, earlier)
        if len(labelled) < 2:
            return np.zeros((0, len(self.space.distributions)))
        key = study.study_name, len(earlier), tuple(trial.number for trial in labelled)
        if self._chosen is None or self._chosen[0] != key:
            self._chosen = key, self._choose(study, earlier, labelled)
        return self._chosen[1]

    def _choose(
        self, study: Study, earlier: Sequence[FrozenTrial], labelled: Sequence[FrozenTrial]
    ) -> Matrix:
        rng = np.random.default_rng([self.seed, len(earlier)])
        measured = self._matrix(labelled)
        signs = np.array([1.0 if d == StudyDirection.MAXIMIZE else -1.0 for d in study.directions])
        worth = self.acquisition(self.space, self.objectives, signs, *self.fitted(study, labelled), measured)
        matrix, promise = self._candidates(worth, measured, rng)
        ours = [trial for trial in earlier if self._is_ours(trial)]
        new = self._tried(ours).are_new(matrix)
        running = self._matrix([trial for trial in ours if not trial.state.is_finished()])
        return worth.choose(matrix[new], promise[new], running, _size(len(earlier)) + SPARE)

    def _candidates(
        self, worth: Acquisition, measured: Matrix, rng: np.random.Generator
    ) -> tuple[Matrix, NDArray[np.float64]]:
        """Feasible genotypes [n, d] to choose from, and what they are worth: [n], or [n, k] of a front."""
        elite = best_first(measured, worth.known, ELITE)
        found = evolve(
            self.space,
            worth,
            start=np.concatenate([elite, self._reservoir.draw(START, rng)]),
            feasible=lambda matrix: feasible.feasible(self.space, matrix, self.limits),
            rng=rng,
            max_evaluations=EVALUATIONS,
        )
        return found.scored if len(self.objectives) == 1 else (found.matrix, found.scores)

    def fitted(self, study: Study, trials: Sequence[FrozenTrial]) -> _Fitted:
        """For each objective that is no statistic a predictor fitted to these trials, and the scale of
        what it predicts. The last are kept.
        """
        numbers = tuple(trial.number for trial in trials)
        if self._fit is None or self._fit[0] != (study.study_name, numbers):
            x = self._matrix(trials)
            values = np.array([labels(study, trial) for trial in trials])
            known = set(self.space.statistics(x[:1]))
            columns = {name: values[:, at] for at, name in enumerate(self.objectives) if name not in known}
            scales = {name: LabelScale.of(column) for name, column in columns.items()}
            predictors: dict[str, Predictor] = {
                name: clone(self._template()).fit(x, scales[name].forward(column))
                for name, column in columns.items()
            }
            self._fit = (study.study_name, numbers), (predictors, scales)
        return self._fit[1]

    def _template(self) -> Predictor:
        if self._predictor == "gaussian":
            from nars.predictors.gaussian import (
                GaussianPredictor,  # an optimizer, only once a predictor is needed
            )

            self._predictor = GaussianPredictor(self.space, self.seed, self.knowledge, scaled=True)
        elif self._predictor == "ensemble":
            from nars.predictors.ensemble import AccuracyPredictor  # torch

            self._predictor = AccuracyPredictor(self.space, seed=self.seed, scaled=True)
        assert not isinstance(self._predictor, str)
        return self._predictor

    def _matrix(self, trials: Sequence[FrozenTrial]) -> Matrix:
        return self.space.canonical(genotypes.from_genotypes(self.space, [trial.params for trial in trials]))


class _Tried:
    """Genotypes that are not to be proposed: those of other trials, and refused architectures.

    A refused one was over a limit when measured, and would be so with any recipe.
    """

    def __init__(self, tried: Matrix, refused: Matrix, architecture: NDArray[np.bool_]) -> None:
        self._tried = {row.tobytes() for row in tried}
        self._refused = {row.tobytes() for row in refused[:, architecture]}
        self._architecture = architecture

    def first_new(self, candidates: Matrix) -> NDArray[np.float64] | None:
        for row in candidates:
            if self._is_new(row):
                return np.asarray(row)
        return None

    def are_new(self, candidates: Matrix) -> NDArray[np.bool_]:
        return np.array([self._is_new(row) for row in candidates], dtype=bool)

    def _is_new(self, row: NDArray[np.float64]) -> bool:
        return row.tobytes() not in self._tried and row[self._architecture].tobytes() not in self._refused


def _size(earlier: int) -> int:
    """Trials of the round that so many come before."""
    return int(np.clip(SHARE * earlier, 1, LARGEST))
