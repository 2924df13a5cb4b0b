"""What it is worth to train a candidate, given what predictors say of it."""

from __future__ import annotations

import heapq
from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr

from nars.internals import hypervolume
from nars.predictors.scores import LabelScale
from nars.space.genotypes import Domain, Matrix

__all__ = ["Acquisition", "Predictor"]

Floats = NDArray[np.float64]

OPTIMISM = 0.5
"""Standard deviations added to predictions where objectives are traded against each other."""
SHORTLIST = 512
"""Candidates among which a batch is chosen one by one."""
WIDE = 64
"""Candidates at the top of a ranking among which those for a front are."""


class Predictor(Protocol):
    """A scikit-learn regressor on genotype matrices that knows how sure it is."""

    def fit(self, X: Matrix, y: Floats) -> Any: ...  # noqa: N803 - scikit-learn's name

    def predict(
        self,
        X: Matrix,  # noqa: N803 - scikit-learn's name
        return_std: bool = False,
        return_cov: bool = False,
    ) -> Any: ...


class Acquisition:
    """Worth of genotypes [n, d], larger is better: [n], or [n, k] for k objectives.

    - One objective: the expected improvement on the best measured (Jones et al., Journal of Global
      Optimization 1998). Which that is the predictor says, for it sees through the noise. It is on the
      predictor's scale: on that of the scores, where failed trainings are far away, what they leave
      uncertain would be mistaken for hope. In a batch, what was chosen before counts as measured, with
      the score predicted and without noise (the "kriging believer": Ginsbourger et al., Computational
      Intelligence in Expensive Optimization Problems, 2010).
    - Several: scores, each optimistically, by `OPTIMISM`; `choose` then says which of a front to train.

    `predictors` are fitted to genotypes `measured` [m, d] and scores on `scales`; an objective
    without one is a statistic of the domain. `signs` [k]: 1 for what is maximised, -1 for the others.
    """

    def __init__(
        self,
        domain: Domain,
        objectives: Sequence[str],
        signs: Floats,
        predictors: Mapping[str, Predictor],
        scales: Mapping[str, LabelScale],
        measured: Matrix,
    ) -> None:
        self.domain = domain
        self.objectives = objectives
        self.signs = signs
        self.predictors = predictors
        self.scales = scales
        self.known = self._predicted(measured)[0]
        """What `measured` is worth [m, k], by prediction, on the predictors' scales."""

    def __call__(self, matrix: Matrix) -> Floats:
        mean, std = self._predicted(matrix)
        if len(self.objectives) > 1:
            return self._scores(mean + OPTIMISM * std)
        return _expected_improvement(mean[:, 0], std[:, 0], self.known.max())

    def choose(self, matrix: Matrix, worth: Floats, pending: Matrix, count: int) -> Matrix:
        """The `count` of genotypes [n, d] to train together, beside those `pending`; most worth first."""
        choose = self._believing if worth.ndim == 1 else self._front
        return np.asarray(matrix[choose(matrix, worth, pending, count)])

    def _believing(self, matrix: Matrix, worth: Floats, pending: Matrix, count: int) -> NDArray[np.int64]:
        """Each improves most on what is known, those `pending` and those before it."""
        shortlist = _shortlist(worth)
        mean, covariance = self._joint(np.concatenate([pending, matrix[shortlist]]))
        best, order = self.known.max(), list(range(len(pending)))
        left = np.arange(len(mean)) >= len(pending)
        for at in order:
            best, covariance = max(best, mean[at]), _given(covariance, at)
        while left.any() and len(order) < len(pending) + count:
            std = np.sqrt(np.maximum(covariance.diagonal(), 0))
            at = int(np.argmax(np.where(left, _expected_improvement(mean, std, best), -1.0)))
            best, covariance = max(best, mean[at]), _given(covariance, at)
            left[at] = False
            order.append(at)
        return shortlist[np.array(order[len(pending) :], dtype=np.int64) - len(pending)]

    def _front(self, matrix: Matrix, worth: Floats, pending: Matrix, count: int) -> NDArray[np.int64]:
        """Each adds most to the hypervolume of what is known, those `pending` and those before it.

        What a candidate adds only shrinks as others are chosen, so that what it added when last looked at
        bounds it: only those are looked at again whose bound is the largest ("lazy greedy": Minoux,
        Optimization Techniques 1978).
        """
        known = self._scores(np.concatenate([self.known, self._predicted(pending)[0]]))
        every = np.concatenate([known, worth])
        low, high = every.min(axis=0), every.max(axis=0)
        front, candidates = (
            1 - (values - low) / np.maximum(high - low, 1e-12) for values in (known, worth[:WIDE])
        )  # losses in 0..1, as Optuna's hypervolume takes them
        reference = np.full(len(low), 1.1)
        order: list[int] = []
        waiting = [(-np.inf, at) for at in range(len(candidates))]
        while waiting and len(order) < count:
            volume = hypervolume(front, reference)
            current: set[int] = set()
            while (best := waiting[0][1]) not in current:
                added = hypervolume(np.vstack([front, candidates[best]]), reference) - volume
                heapq.heapreplace(waiting, (-added, best))
                current.add(best)
            heapq.heappop(waiting)
            order.append(best)
            front = np.vstack([front, candidates[best]])
        return np.array(order, dtype=np.int64)

    def _joint(self, matrix: Matrix) -> tuple[Floats, Floats]:
        """Mean [n] and covariance [n, n] of the one objective, larger is better."""
        mean, std = self._predicted(matrix)
        if not self.predictors or not len(matrix):
            return mean[:, 0], np.zeros((len(mean), len(mean)))
        (predictor,) = self.predictors.values()
        covariance = predictor.predict(matrix, return_cov=True)[1]
        kept = std[:, 0] / np.sqrt(np.maximum(covariance.diagonal(), 1e-24))
        return mean[:, 0], kept[:, None] * covariance * kept

    def _predicted(self, matrix: Matrix) -> tuple[Floats, Floats]:
        """Mean and standard deviation [n, k] on the predictors' scales, larger is better."""
        means, stds = np.zeros((2, len(matrix), len(self.objectives)))
        if not len(matrix):
            return means, stds
        statistics = self.domain.statistics(matrix) if len(self.predictors) < len(self.objectives) else {}
        for at, name in enumerate(self.objectives):
            if name in self.predictors:
                means[:, at], stds[:, at] = self.predictors[name].predict(matrix, return_std=True)
            else:
                means[:, at] = statistics[name]
        return self.signs * means, stds

    def _scores(self, values: Floats) -> Floats:
        """Values [n, k] on the predictors' scales as scores, larger is better still."""
        given = values * self.signs
        for name, scale in self.scales.items():
            at = self.objectives.index(name)
            given[:, at] = scale.inverse(given[:, at])
        return np.asarray(given * self.signs)


def _expected_improvement(mean: Floats, std: Floats, best: float) -> Floats:
    above = mean - best
    z = above / np.maximum(std, 1e-12)
    return np.asarray(above * ndtr(z) + std * np.exp(-(z**2) / 2) / np.sqrt(2 * np.pi))


def _given(covariance: Floats, at: int) -> Floats:
    """What is left of covariances [n, n] once the expectation of one candidate is known."""
    variance = covariance[at, at]
    if variance <= 1e-9 * max(covariance.diagonal().max(), 1e-300):  # known already, up to rounding
        return covariance
    return np.asarray(covariance - np.outer(covariance[:, at], covariance[at]) / variance)


def _shortlist(worth: Floats) -> NDArray[np.int64]:
    """The best of candidates worth [n], and as many from all over the rest.

    The best of a converged evolution are alike: once one of them is chosen, the next may be elsewhere.
    """
    order = np.argsort(-worth, kind="stable")
    best, rest = order[: SHORTLIST // 2], order[SHORTLIST // 2 :]
    evenly = np.linspace(0, len(rest) - 1, min(len(rest), SHORTLIST // 2)).astype(np.int64)
    return np.concatenate([best, rest[evenly]])
