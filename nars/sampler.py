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

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray
from optuna.distributions import BaseDistribution
from optuna.samplers import BaseSampler, RandomSampler
from optuna.study import Study, StudyDirection
from optuna.trial import FrozenTrial, TrialState
from sklearn.base import clone

from nars import feasible, genotypes
from nars.budget import Budget, counts
from nars.evolution import evolve
from nars.feasible import Limits
from nars.genotypes import Domain, Matrix

__all__ = ["ESTIMATE", "NarsSampler", "Predictor"]

ESTIMATE = "estimate"
"""User attribute of a pruned trial: the score that it would have ended with."""

REFIT_EVERY = 4
"""Trials between two fits of the predictor: one round."""
POOL = 4096
ELITE = 16
"""Best measured candidates, whose variations join the pool and start the evolution."""
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
        self._fits: dict[tuple[str, tuple[int, ...]], Predictor] = {}

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
        others = [each for each in study.get_trials(deepcopy=False) if each.number != trial.number]
        others = [each for each in others if search_space.keys() <= each.params.keys()]
        earlier = [each for each in others if each.number < trial.number and counts(each)]
        rng = np.random.default_rng([self.seed, len(earlier)])  # a repeated trial changes no number
        tried = self._matrix(others)
        if len(earlier) < self.first_batch:
            chosen = _first_new(self._first_candidates(), tried)
        else:
            chosen = self._guided(study, earlier, tried, rng)
        if chosen is None:
            chosen = feasible.sample(self.space, self.limits, 1, rng, quasi=False)[0]
        return genotypes.to_genotypes(self.space, chosen[None])[0]

    def prediction(
        self, study: Study, earlier: Sequence[FrozenTrial], params: Mapping[str, Any]
    ) -> tuple[float, float] | None:
        """Mean and standard deviation predicted for a proposal made after these trials.

        Of the first objective that is not a statistic; None within the first batch.
        """
        labelled = self._labelled(study, earlier)
        if len(earlier) < self.first_batch or len(labelled) < 2:
            return None
        utility = _Utility(self, study, labelled, np.random.default_rng())
        matrix = self.space.canonical(genotypes.from_genotypes(self.space, [params]))
        for predictor in utility.predictors.values():
            mean, std = predictor.predict(matrix, return_std=True)
            return float(mean[0]), float(std[0])
        return None

    def _labelled(self, study: Study, earlier: Sequence[FrozenTrial]) -> list[FrozenTrial]:
        """The trials that a proposal learns from: those of the rounds before its own."""
        rounds = max(len(earlier) - self.first_batch, 0) // REFIT_EVERY
        known = earlier[: self.first_batch + rounds * REFIT_EVERY]
        return [trial for trial in known if scores(study, trial) is not None]

    def _first_candidates(self) -> Matrix:
        if self._start is None:
            rng = np.random.default_rng(self.seed)
            self._start = feasible.sample(self.space, self.limits, 2 * self.first_batch, rng)
        return self._start

    def _guided(
        self, study: Study, earlier: Sequence[FrozenTrial], tried: Matrix, rng: np.random.Generator
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
                start=np.concatenate(
                    [elite, feasible.sample(self.space, self.limits, ELITE, rng, quasi=False)]
                ),
                feasible=lambda matrix: feasible.feasible(self.space, matrix, self.limits),
                rng=rng,
            ).matrix
            return _first_new(found, tried)
        near = genotypes.mutate(self.space, np.repeat(elite, POOL // 4 // len(elite), axis=0), rng)
        near = near[feasible.feasible(self.space, near, self.limits)]
        pool = np.concatenate([near, feasible.sample(self.space, self.limits, POOL, rng, quasi=False)])
        return _first_new(pool[np.argsort(-utility(pool), kind="stable")], tried)

    def _evolves(self, earlier: Sequence[FrozenTrial]) -> bool:
        if self.budget is None:
            return len(earlier) // REFIT_EVERY % 2 == 1
        return self.budget.progress(earlier) >= FINE

    def fitted(
        self, objective: str, numbers: tuple[int, ...], x: Matrix, y: NDArray[np.float64]
    ) -> Predictor:
        """The predictor of an objective fitted to the trials of these numbers; the last is kept."""
        key = (objective, numbers)
        if key not in self._fits:
            self._fits = {known: fit for known, fit in self._fits.items() if known[0] != objective}
            self._fits[key] = clone(self._template()).fit(x, y)
        return self._fits[key]

    def _template(self) -> Predictor:
        if self._predictor is None:
            from nars.predictor import AccuracyPredictor  # torch, only once a predictor is needed

            self._predictor = AccuracyPredictor(self.space, seed=self.seed)
        return self._predictor

    def _matrix(self, trials: Sequence[FrozenTrial]) -> Matrix:
        return self.space.canonical(genotypes.from_genotypes(self.space, [trial.params for trial in trials]))


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
        x = sampler._matrix(trials)
        values = np.array([scores(study, trial) for trial in trials])
        self.worst, self.best = (self.signs * values).min(axis=0), (self.signs * values).max(axis=0)
        known = set(self.space.statistics(x[:1]))
        numbers = tuple(trial.number for trial in trials)
        self.predictors = {
            name: sampler.fitted(name, numbers, x, values[:, index])
            for index, name in enumerate(self.objectives)
            if name not in known
        }

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
            return np.asarray(self.signs[at] * mean + self.optimism * std)
        known: NDArray[np.float64] = self.signs[at] * self.space.statistics(matrix)[name]
        return known


def scores(study: Study, trial: FrozenTrial) -> list[float] | None:
    """What is known of a trial's objectives; None of one that failed or still runs."""
    values: list[float] | None = trial.values
    if trial.state == TrialState.COMPLETE:
        return values
    if trial.state == TrialState.PRUNED:
        estimate = trial.user_attrs.get(ESTIMATE)
        if estimate is not None:
            return [float(value) for value in estimate]
        return values if len(study.directions) == 1 else None
    return None


def _first_batch(budget: Budget | None) -> int:
    if budget is None or budget.unit != "trials":
        return 16
    return int(np.clip(budget.amount // 4, 4, 20))


def _first_new(candidates: Matrix, tried: Matrix) -> NDArray[np.float64] | None:
    """The first row that is not among those tried."""
    seen = {row.tobytes() for row in tried}
    return next((row for row in candidates if row.tobytes() not in seen), None)
