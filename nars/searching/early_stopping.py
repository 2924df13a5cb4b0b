"""Early stopping: how long a candidate must train before its rank is known, learned from the first ones.

Source: FBNetV3, section 3.3. A training may stop once the rank correlation between the scores so far
and the final scores reaches 0.92.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Self

import numpy as np
from numpy.typing import NDArray
from optuna.trial import FrozenTrial, TrialState
from scipy.stats import spearmanr

from nars.trials import Curve, Record

__all__ = ["TAUGHT_BY", "EarlyStopping"]

THRESHOLD = 0.92
"""Rank correlation with the final scores at which ranks count as known, from the paper."""

FEWEST_CURVES = 10
"""Curves to learn from; with fewer, the threshold is too often reached by chance."""

TAUGHT_BY = 12
"""Trainings at the beginning of a search that are never stopped, because the rule is learned from them."""

GRID = np.linspace(0.1, 0.9, 17)
"""Fractions of a training at which curves are compared."""

KEEP = 1 / 2
"""Share of candidates that may continue after the point where others are stopped."""

_TOLERANCE = 1e-9
"""Rounding error allowed for when fractions of a training are compared."""


class EarlyStopping:
    """Decides from complete curves which later candidates need not train to the end.

    `curves` are those of candidates trained in full. `fraction` is the earliest part of a training
    from which on all ranks correlate with the final ones by at least `threshold`. There, a candidate
    continues if it is in the best `keep` of its peers. If there is no such part, `fraction` is None
    and nothing is stopped.
    """

    def __init__(self, curves: Sequence[Curve], threshold: float = THRESHOLD, keep: float = KEEP) -> None:
        self.threshold = threshold
        self.keep = keep
        self._final = np.array([curve[-1][1] for curve in curves])
        self._scores = np.array([[score_at(curve, fraction) for fraction in GRID] for curve in curves])
        self.fraction = self._earliest()

    @classmethod
    def of(cls, trials: Sequence[FrozenTrial]) -> Self | None:
        """The rule that the first trials of a search teach; None until all `TAUGHT_BY` of them are over."""
        first = trials[:TAUGHT_BY]
        if len(first) < TAUGHT_BY or not all(trial.state.is_finished() for trial in first):
            return None
        records = [Record.of(trial) for trial in first if trial.state == TrialState.COMPLETE]
        return cls([record.curve for record in records if record.curve is not None])

    def _earliest(self) -> float | None:
        if len(self._final) < FEWEST_CURVES:
            return None
        enough = [_correlation(column, self._final) >= self.threshold for column in self._scores.T]
        settled = [index for index in range(len(GRID)) if all(enough[index:])]
        return float(GRID[settled[0]]) if settled else None

    def should_stop(self, curve: Curve, peers: Sequence[Curve]) -> bool:
        """Whether a training with this curve so far has shown that it will not be among the best.

        `peers` are the curves to compare with: those of all other candidates, or of all that cost no
        more.
        """
        if self.fraction is None or curve[-1][0] < self.fraction - _TOLERANCE or curve[-1][0] >= 1:
            return False
        far_enough = [peer for peer in peers if peer[-1][0] >= self.fraction - _TOLERANCE]
        if not far_enough:
            return False
        scores = [score_at(peer, self.fraction) for peer in far_enough]
        return bool(score_at(curve, self.fraction) < np.quantile(scores, 1 - self.keep))

    def final(self, curve: Curve) -> float | None:
        """Estimate the final score of a training that was stopped early, at any point.

        The estimate is a linear regression of the final score on the score at that point, and None
        if there are too few curves to learn from.
        """
        if len(self._final) < FEWEST_CURVES:
            return None
        column = max(int(np.searchsorted(GRID, curve[-1][0] + _TOLERANCE)) - 1, 0)
        scores, score = self._scores[:, column], score_at(curve, GRID[column])
        variance = np.var(scores)
        slope = float(np.cov(scores, self._final, bias=True)[0, 1] / variance) if variance > 0 else 0.0
        estimate = float(self._final.mean()) + slope * (score - float(scores.mean()))
        return max(estimate, min(0.0, float(self._final.min())))  # a score of one's own may be negative


def score_at(curve: Curve, fraction: float) -> float:
    """Return the score at a fraction of the training, interpolated linearly between measurements."""
    fractions, scores = np.asarray(curve, dtype=np.float64).T
    return float(np.interp(fraction, fractions, scores))


def _correlation(a: NDArray[np.float64], b: NDArray[np.float64]) -> float:
    """Return the rank correlation of two lists [n], 0 if all values of either are equal."""
    if np.ptp(a) == 0 or np.ptp(b) == 0:
        return 0.0
    return float(spearmanr(a, b).statistic)
