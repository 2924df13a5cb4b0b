"""What it is worth to train a candidate, given what predictors say of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray
from optuna._hypervolume import compute_hypervolume
from scipy.special import ndtr

from nars.genotypes import Domain, Matrix, to_unit

__all__ = ["Acquisition", "Predictor"]

Floats = NDArray[np.float64]

OPTIMISM = 0.5
"""Standard deviations added to predictions where objectives are traded against each other."""
APART = 0.1
"""Difference, as a share of a dimension's range, from which on two candidates differ in it."""
DIMENSIONS = 2
"""Dimensions in which candidates of one batch differ, at least."""
WIDE = 64
"""Candidates at the top of a ranking among which a batch for a front is chosen."""


class Predictor(Protocol):
    """A scikit-learn regressor on genotype matrices that knows how sure it is."""

    def fit(self, X: Matrix, y: Floats) -> Any: ...  # noqa: N803 - scikit-learn's name

    def predict(self, X: Matrix, return_std: bool = False) -> Any: ...  # noqa: N803


class Acquisition:
    """Worth of genotypes [n, d], larger is better: [n], or [n, k] for k objectives.

    - One objective: the expected improvement on the best measured (Jones et al., Journal of Global
      Optimization 1998). Which that is the predictor says, for it sees through the noise.
    - Several: each optimistically, by `OPTIMISM`; `choose` then says which of a front to train.

    `predictors` are fitted to scores `values` [m, k] of genotypes `measured` [m, d]; an objective
    without one is a statistic of the domain. `signs` [k]: 1 for what is maximised, -1 for the others.
    """

    def __init__(
        self,
        domain: Domain,
        objectives: Sequence[str],
        signs: Floats,
        predictors: Mapping[str, Predictor],
        measured: Matrix,
        values: Floats,
    ) -> None:
        self.domain = domain
        self.objectives = objectives
        self.signs = signs
        self.predictors = predictors
        self.spread = values.std(axis=0)
        self.known = self._predicted(measured)[0]
        """What `measured` is worth [m, k], by prediction."""

    def __call__(self, matrix: Matrix) -> Floats:
        mean, std = self._predicted(matrix)
        if len(self.objectives) > 1:
            return mean + OPTIMISM * std
        mean, std = mean[:, 0], std[:, 0]
        above = mean - self.known.max()
        z = above / np.maximum(std, 1e-12)
        return np.asarray(above * ndtr(z) + std * np.exp(-(z**2) / 2) / np.sqrt(2 * np.pi))

    def choose(self, matrix: Matrix, worth: Floats, pending: Matrix, count: int) -> Matrix:
        """The `count` of genotypes [n, d] to train together, most worth first.

        They differ from each other, and from those `pending`, in `DIMENSIONS` dimensions (while
        there are such).
        """
        order = np.argsort(-worth, kind="stable") if worth.ndim == 1 else self._front(worth, count)
        unit = to_unit(self.domain, np.concatenate([pending, matrix]))
        chosen = list(range(len(pending)))
        others: list[int] = []
        for at in (order + len(pending)).tolist():
            if len(chosen) == len(pending) + count:
                break
            differs = (np.abs(unit[chosen] - unit[at]) > APART).sum(axis=1)
            (chosen if (differs >= min(DIMENSIONS, unit.shape[1])).all() else others).append(at)
        picked = np.array([*chosen[len(pending) :], *others], dtype=np.int64)[:count]
        return np.asarray(matrix[picked - len(pending)])

    def _front(self, worth: Floats, count: int) -> NDArray[np.int64]:
        """An order in which each adds most to the hypervolume of what is known and those before it."""
        every = np.concatenate([self.known, worth])
        low, high = every.min(axis=0), every.max(axis=0)
        front, candidates = (
            1 - (values - low) / np.maximum(high - low, 1e-12) for values in (self.known, worth[:WIDE])
        )  # losses in 0..1, as Optuna's hypervolume takes them
        reference = np.full(len(low), 1.1)
        left = list(range(len(candidates)))
        order: list[int] = []
        while left and len(order) < 2 * count:
            volumes = [compute_hypervolume(np.vstack([front, candidates[at]]), reference) for at in left]
            order.append(left.pop(int(np.argmax(volumes))))
            front = np.vstack([front, candidates[order[-1]]])
        rest = np.setdiff1d(np.arange(len(worth)), order)
        return np.concatenate([np.array(order, np.int64), rest])

    def _predicted(self, matrix: Matrix) -> tuple[Floats, Floats]:
        """Mean and standard deviation [n, k], larger is better."""
        means, stds = np.zeros((2, len(matrix), len(self.objectives)))
        statistics = self.domain.statistics(matrix) if len(self.predictors) < len(self.objectives) else {}
        for at, name in enumerate(self.objectives):
            if name in self.predictors:
                means[:, at], std = self.predictors[name].predict(matrix, return_std=True)
                # Far below all that was measured a predictor may be unsure beyond measure: that is no hope.
                stds[:, at] = np.minimum(std, self.spread[at])
            else:
                means[:, at] = statistics[name]
        return self.signs * means, stds
