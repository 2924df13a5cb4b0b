"""Acquisition functions: the value of training a candidate, given what predictors say about it.

With one objective that is its expected improvement, with several what it adds to the front.
"""

from __future__ import annotations

import heapq
from typing import Protocol

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr

from nars.sampling.evolution import Evolution, Population
from nars.sampling.pareto import hypervolume
from nars.sampling.predictions import Predictions
from nars.space.genotypes import Matrix

__all__ = ["OPTIMISM", "Acquisition", "ExpectedImprovement", "Front", "make_acquisition"]

Floats = NDArray[np.float64]

OPTIMISM = 0.5
"""Standard deviations added to predictions when objectives are traded against each other."""

_SHORTLIST = 512
"""Candidates from which a batch with one objective is chosen, one by one."""

_FRONTRUNNERS = 64
"""How many top candidates compete for a place on the front."""


class Acquisition(Protocol):
    """Scores candidates for an evolutionary search and chooses a batch among those that it found."""

    @property
    def measured(self) -> Floats:
        """Predictions for the measured candidates [m, k], larger is better."""

    def __call__(self, matrix: Matrix) -> Floats:
        """Scores [n, k] of genotypes [n, d], larger is better; k is 1 unless a front is sought."""

    def contenders(self, evolution: Evolution) -> Population:
        """The candidates to choose from, with their scores."""

    def choose(self, contenders: Population, pending: Matrix, count: int) -> Matrix:
        """At most `count` genotypes [n, d] to train together, the most valuable first.

        `pending` [p, d] are being trained already.
        """


def make_acquisition(predictions: Predictions, measured: Matrix) -> Acquisition:
    """`ExpectedImprovement` for one objective, `Front` for several."""
    several = len(predictions.signs) > 1
    return Front(predictions, measured) if several else ExpectedImprovement(predictions, measured)


class ExpectedImprovement:
    """The expected improvement on the best measured candidate [n, 1].

    Source: Jones et al., Journal of Global Optimization 1998. The predictor decides which measured
    candidate is best, because it smooths the noise. The improvement is on the predictor's scale: on
    that of the scores, the uncertainty of failed trainings, which are far away, would look like
    promise.

    In a batch, a candidate that was chosen counts as measured, with the score predicted and without
    noise: the "kriging believer" (Ginsbourger et al., Computational Intelligence in Expensive
    Optimization Problems, 2010).

    With constraints the improvement is on the best candidate that meets them, times the probability of
    meeting them (Gardner et al., ICML 2014); until one does, the probability alone counts.
    """

    def __init__(self, predictions: Predictions, measured: Matrix) -> None:
        scores = predictions.means(measured)
        meets = predictions.feasibility.likely(measured)
        self.measured = np.where(meets[:, None], scores, scores - _penalty(scores))
        self._best = scores[meets].max(initial=-np.inf)
        self._predictions = predictions

    def __call__(self, matrix: Matrix) -> Floats:
        mean, std = self._predictions(matrix)
        return _improvement(mean, std, self._best) * self._predictions.feasibility(matrix)[:, None]

    def contenders(self, evolution: Evolution) -> Population:
        return evolution.scored

    def choose(self, contenders: Population, pending: Matrix, count: int) -> Matrix:
        """Choose one by one what improves most on everything measured, pending or chosen before."""
        shortlist = contenders.matrix[_shortlist(contenders.scores[:, 0])]
        everything = np.concatenate([pending, shortlist])
        mean, covariance = self._predictions.joint(everything)
        probability = self._predictions.feasibility(everything)
        best = self._best
        for row in range(len(pending)):
            best, covariance = _raised(best, mean[row]), _conditioned(covariance, row)
        chosen: list[int] = []
        available = np.arange(len(mean)) >= len(pending)
        while available.any() and len(chosen) < count:
            std = np.sqrt(np.maximum(covariance.diagonal(), 0))
            gain = _improvement(mean, std, best) * probability
            row = int(np.argmax(np.where(available, gain, -1.0)))
            best, covariance = _raised(best, mean[row]), _conditioned(covariance, row)
            available[row] = False
            chosen.append(row - len(pending))
        return np.asarray(shortlist[chosen])


class Front:
    """The objectives [n, k] as scores, each by `optimism` standard deviations better than predicted.

    Probable breaches of a constraint make every score worse, by up to twice the range of those measured.
    """

    def __init__(self, predictions: Predictions, measured: Matrix, optimism: float = OPTIMISM) -> None:
        means = predictions.means(measured)
        meets = predictions.feasibility.likely(measured)
        self.measured = np.where(meets[:, None], means, means - _penalty(means))
        self._reached = means[meets]
        self._penalty = _penalty(predictions.scores(means))
        self._predictions = predictions
        self._optimism = optimism

    def __call__(self, matrix: Matrix) -> Floats:
        mean, std = self._predictions(matrix)
        breach = 1 - self._predictions.feasibility(matrix)[:, None]
        return self._predictions.scores(mean + self._optimism * std) - breach * self._penalty

    def contenders(self, evolution: Evolution) -> Population:
        return evolution.population

    def choose(self, contenders: Population, pending: Matrix, count: int) -> Matrix:
        """Choose one by one what adds most to the hypervolume of the measured, pending and chosen candidates.

        Gains only shrink as others are chosen, so the last computed gain is an upper bound: only the
        candidate with the largest bound is computed again ("lazy greedy": Minoux, Optimization
        Techniques 1978).
        """
        if not len(contenders):
            return contenders.matrix
        measured = self._predictions.scores(np.concatenate([self._reached, self._predictions.means(pending)]))
        everything = np.concatenate([measured, contenders.scores])
        low, high = everything.min(axis=0), everything.max(axis=0)

        def scaled(scores: Floats) -> Floats:
            """Scores in -1..0."""
            return np.asarray((scores - low) / np.where(high > low, high - low, 1.0) - 1)

        front, candidates = scaled(measured), scaled(contenders.scores[:_FRONTRUNNERS])
        reference = np.full(len(low), -1.1)
        chosen: list[int] = []
        bounds = [(-np.inf, row) for row in range(len(candidates))]  # a heap of negative gains
        while bounds and len(chosen) < count:
            volume = hypervolume(front, reference)
            computed: set[int] = set()
            while (row := bounds[0][1]) not in computed:
                gain = hypervolume(np.vstack([front, candidates[row]]), reference) - volume
                heapq.heapreplace(bounds, (-gain, row))
                computed.add(row)
            heapq.heappop(bounds)
            chosen.append(row)
            front = np.vstack([front, candidates[row]])
        return np.asarray(contenders.matrix[chosen])


def _improvement(mean: Floats, std: Floats, best: float) -> Floats:
    """The expected excess of normal variables over `best`, counting values below it as 0.

    It is 1 for all while there is no best (minus infinity).
    """
    if best == -np.inf:
        return np.ones_like(mean)
    above = mean - best
    z = above / np.maximum(std, 1e-12)
    return np.asarray(above * ndtr(z) + std * np.exp(-(z**2) / 2) / np.sqrt(2 * np.pi))


def _raised(best: float, score: float) -> float:
    """The best with one more score; there is none yet if nothing is known to meet the constraints."""
    return best if best == -np.inf else max(best, score)


def _penalty(scores: Floats) -> Floats:
    """The price of a breached constraint in each objective [k], given scores [m, k]: twice their range."""
    return np.asarray(2 * np.ptp(scores, axis=0) + 1e-9)


def _conditioned(covariance: Floats, row: int) -> Floats:
    """The covariances [n, n] that remain once the value of one candidate is known."""
    variance = covariance[row, row]
    if variance <= 1e-9 * max(covariance.diagonal().max(), 1e-300):  # known already, up to rounding
        return covariance
    return np.asarray(covariance - np.outer(covariance[:, row], covariance[row]) / variance)


def _shortlist(scores: Floats) -> NDArray[np.int64]:
    """The best candidates by scores [n], and as many spread evenly over the ranking of the others.

    The best of a converged evolution are alike: once one of them is chosen, the next may be elsewhere.
    """
    order = np.argsort(-scores, kind="stable")
    best, rest = order[: _SHORTLIST // 2], order[_SHORTLIST // 2 :]
    evenly = np.linspace(0, len(rest) - 1, min(len(rest), _SHORTLIST // 2)).astype(np.int64)
    return np.concatenate([best, rest[evenly]])
