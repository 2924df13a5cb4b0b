"""`NarsSampler`: predictor-guided joint search as an Optuna sampler.

Proposals go through three phases (FBNetV3, CVPR 2021, section 3):

1. a first batch spread evenly over what the limits leave of the space;
2. constrained iterative optimization: the predictor, refitted every few trials to all that was
   measured, scores a large pool, and the best of it that nobody has tried is next;
3. evolutionary search on the predictor, started from the best candidates measured.

It holds no state that the study does not: a proposal follows from the trials and the seed, so
that a killed and resumed search goes on as if it had not been interrupted, and workers on one
storage complement each other.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray
from optuna.distributions import BaseDistribution
from optuna.samplers import BaseSampler, RandomSampler
from optuna.study import Study, StudyDirection
from optuna.trial import FrozenTrial, TrialState
from sklearn.base import clone

from nars import feasible, genotypes
from nars.budget import REFUSED, VOID, Budget, counts
from nars.errors import UsageError
from nars.evolution import evolve
from nars.feasible import Limits, Reservoir
from nars.genotypes import Domain, Matrix

__all__ = ["ESTIMATE", "NarsSampler", "Predictor"]

ESTIMATE = "estimate"
"""User attribute of a pruned trial: the score that it would have ended with."""

REFIT_EVERY = 4
"""Trials between two fits of the predictor: one round."""
POOL = 4096
ELITE = 16
"""Best measured candidates, whose variations join the pool and start the evolution."""
START = 128
"""Random candidates that the evolution starts from, beside the best."""
FINE = 2 / 3
"""Share of the budget after which evolution replaces the pool."""


class Predictor(Protocol):
    """A scikit-learn regressor on genotype matrices that knows how sure it is."""

    def fit(self, X: Matrix, y: NDArray[np.float64]) -> Any: ...  # noqa: N803 - scikit-learn's name

    def predict(self, X: Matrix, return_std: bool = False) -> Any: ...  # noqa: N803


class NarsSampler(BaseSampler):
    """Samples a `Domain`, such as a `nars.space.Space`, guided by a predictor of the score.

    - `budget`: of the whole study; a number means trials. Without one, rounds alternate between
      pool and evolution after the first batch.
    - `limits`: hold for every proposal (`nars.errors.InfeasibleError` where nothing meets them).
    - `objectives`: names of the study's objectives. One that is a statistic of the domain (``macs``)
      is known beforehand; the others are predicted.
    - `predictor`: a template, cloned for every fit; by default `nars.predictor.AccuracyPredictor`.
    """

    def __init__(
        self,
        space: Domain,
        *,
        budget: Budget | int | None = None,
        limits: Limits | None = None,
        objectives: Sequence[str] = ("accuracy",),
        first_batch: int | None = None,
        predictor: Predictor | None = None,
        seed: int = 0,
    ) -> None:
        self.space = space
        self.budget = Budget(budget) if isinstance(budget, int) else budget
        self.limits = dict(limits or {})
        self.objectives = tuple(objectives)
        self.first_batch = first_batch or _first_batch(self.budget)
        self.seed = seed
        self._predictor = predictor
        self._independent = RandomSampler(seed=seed)
        self._start: Matrix | None = None
        self._reservoir = Reservoir(space, self.limits, seed)
        self._fit: tuple[tuple[int, tuple[int, ...]], dict[str, Predictor]] | None = None

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
        rng = np.random.default_rng([self.seed, len(earlier)])  # a repeated trial changes no number
        if len(earlier) < self.first_batch:
            # By place, not the first that is new: workers that start together see none of each other's.
            chosen = tried.first_new(np.roll(self._first_candidates(), -len(earlier), axis=0))
        else:
            chosen = self._guided(study, earlier, tried, rng)
        if chosen is None:
            pool = self._reservoir.draw(POOL, rng)
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
        for predictor in self.fitted(study, labelled).values():
            mean, std = predictor.predict(self._matrix([trial]), return_std=True)
            return float(mean[0]), float(std[0])
        return None

    def _tried(self, trials: Sequence[FrozenTrial]) -> _Tried:
        refused = [
            trial for trial in trials if trial.user_attrs.get(VOID) == REFUSED and self._is_over(trial)
        ]
        columns = np.array([not name.startswith("recipe.") for name in self.space.distributions], dtype=bool)
        return _Tried(self._matrix(trials), self._matrix(refused), columns)

    def _is_over(self, trial: FrozenTrial) -> bool:
        """Whether a limit did not hold when measured."""
        return any(trial.user_attrs.get(name, 0) > limit for name, limit in self.limits.items())

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
        rounds = max(len(earlier) - self.first_batch, 0) // REFIT_EVERY
        known = earlier[: self.first_batch + rounds * REFIT_EVERY]
        return [trial for trial in known if self._is_ours(trial) and scores(study, trial) is not None]

    def _first_candidates(self) -> Matrix:
        if self._start is None:
            rng = np.random.default_rng(self.seed)
            self._start = feasible.sample(self.space, self.limits, 2 * self.first_batch, rng)
        return self._start

    def _guided(
        self, study: Study, earlier: Sequence[FrozenTrial], tried: _Tried, rng: np.random.Generator
    ) -> NDArray[np.float64] | None:
        """The new candidate of most utility; None where nothing could be learned yet."""
        labelled = self._labelled(study, earlier)
        if len(labelled) < 2:
            return None
        utility = _Utility(self, study, labelled, rng)
        measured = self._matrix(labelled)
        elite = measured[np.argsort(-utility(measured), kind="stable")[:ELITE]]
        if self._evolves(earlier):
            found = evolve(
                self.space,
                utility,
                start=np.concatenate([elite, self._reservoir.draw(START, rng)]),
                feasible=lambda matrix: feasible.feasible(self.space, matrix, self.limits),
                rng=rng,
            ).matrix
            return tried.first_new(found)
        near = genotypes.mutate(self.space, np.repeat(elite, POOL // 4 // len(elite), axis=0), rng)
        near = near[feasible.feasible(self.space, near, self.limits)]
        pool = np.concatenate([near, self._reservoir.draw(POOL, rng)])
        return tried.first_new(pool[np.argsort(-utility(pool), kind="stable")])

    def _evolves(self, earlier: Sequence[FrozenTrial]) -> bool:
        if self.budget is None:
            return len(earlier) // REFIT_EVERY % 2 == 1
        return self.budget.progress(earlier) >= FINE

    def fitted(self, study: Study, trials: Sequence[FrozenTrial]) -> dict[str, Predictor]:
        """A predictor for each objective that is no statistic, fitted to these trials; the last are kept."""
        numbers = tuple(trial.number for trial in trials)
        if self._fit is None or self._fit[0] != (study._study_id, numbers):
            x = self._matrix(trials)
            values = np.array([scores(study, trial) for trial in trials])
            known = set(self.space.statistics(x[:1]))
            predictors = {
                name: clone(self._template()).fit(x, values[:, index])
                for index, name in enumerate(self.objectives)
                if name not in known
            }
            self._fit = (study._study_id, numbers), predictors
        return self._fit[1]

    def _template(self) -> Predictor:
        if self._predictor is None:
            from nars.predictor import AccuracyPredictor  # torch, only once a predictor is needed

            self._predictor = AccuracyPredictor(self.space, seed=self.seed)
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
            if row.tobytes() not in self._tried and row[self._architecture].tobytes() not in self._refused:
                return np.asarray(row)
        return None


class _Utility:
    """How much it is worth to train each genotype [n, d]: optimistic prediction, larger is better.

    Optimism, the number of standard deviations added, is drawn anew for every proposal, so that
    proposals made from the same fit differ (randomised upper confidence bound). With several
    objectives their weights are drawn too (ParEGO: Knowles, IEEE TEC 2006), which walks the front.
    """

    def __init__(
        self, sampler: NarsSampler, study: Study, trials: Sequence[FrozenTrial], rng: np.random.Generator
    ) -> None:
        self.space = sampler.space
        self.objectives = sampler.objectives
        self.signs = np.array([1.0 if d == StudyDirection.MAXIMIZE else -1.0 for d in study.directions])
        self.optimism = rng.exponential(0.5)
        self.weights = rng.dirichlet(np.ones(len(self.signs)))
        values = self.signs * np.array([scores(study, trial) for trial in trials])
        self.worst, self.best, self.spread = values.min(axis=0), values.max(axis=0), values.std(axis=0)
        self.predictors = sampler.fitted(study, trials)

    def __call__(self, matrix: Matrix) -> NDArray[np.float64]:
        values = np.stack([self._optimistic(matrix, at) for at in range(len(self.signs))], axis=1)
        if values.shape[1] == 1:
            return np.asarray(values[:, 0])
        scaled = self.weights * (values - self.worst) / np.maximum(self.best - self.worst, 1e-12)
        return np.asarray(scaled.min(axis=1) + 0.05 * scaled.sum(axis=1))

    def _optimistic(self, matrix: Matrix, at: int) -> NDArray[np.float64]:
        name = self.objectives[at]
        if name in self.predictors:
            mean, std = self.predictors[name].predict(matrix, return_std=True)
            # Far below all that was measured a predictor may be unsure beyond measure: that is no hope.
            return np.asarray(self.signs[at] * mean + self.optimism * np.minimum(std, self.spread[at]))
        known: NDArray[np.float64] = self.signs[at] * self.space.statistics(matrix)[name]
        return known


def scores(study: Study, trial: FrozenTrial) -> list[float] | None:
    """What is known of a trial's objectives, finite; None of one that failed or still runs."""
    values: Sequence[float] | None = trial.values
    if trial.state == TrialState.PRUNED:
        values = trial.user_attrs.get(ESTIMATE, values if len(study.directions) == 1 else None)
    elif trial.state != TrialState.COMPLETE:
        return None
    return [float(value) for value in values] if values is not None and np.isfinite(values).all() else None


def _first_batch(budget: Budget | None) -> int:
    if budget is None or budget.unit != "trials":
        return 16
    return int(np.clip(budget.amount // 3, 4, 20))
