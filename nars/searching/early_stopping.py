"""How long a candidate must train before its rank is known, learned from the first trainings.

Source: FBNetV3, section 3.3: stop where the rank correlation between the scores so far and the
final ones reaches 0.92.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.stats import spearmanr

from nars.trials import Curve

__all__ = ["TAUGHT_BY", "EarlyStopping"]

THRESHOLD = 0.92
FEWEST = 10
"""Curves to learn from; with fewer, the threshold is reached by chance too often."""
TAUGHT_BY = 12
"""Trainings at the beginning of a search that are never stopped."""
GRID = np.linspace(0.1, 0.9, 17)
KEEP = 1 / 2


class EarlyStopping:
    """Decides from complete curves which later candidates need not train to the end.

    `curves` are those of candidates trained in full. `fraction` is the earliest part of a training
    from which on the ranks correlate with the final ones by at least `threshold`, None where there
    is none; then nothing is stopped. There, a candidate goes on if it is in the best `keep` of its
    peers.
    """

    def __init__(self, curves: Sequence[Curve], threshold: float = THRESHOLD, keep: float = KEEP) -> None:
        self.threshold = threshold
        self.keep = keep
        self._final = np.array([curve[-1][1] for curve in curves])
        self._scores = np.array([[score_at(curve, at) for at in GRID] for curve in curves])
        self.fraction = self._earliest()

    def _earliest(self) -> float | None:
        if len(self._final) < FEWEST:
            return None
        enough = [_correlation(column, self._final) >= self.threshold for column in self._scores.T]
        late = [at for at, _ in enumerate(GRID) if all(enough[at:])]
        return float(GRID[late[0]]) if late else None

    def should_stop(self, curve: Curve, peers: Sequence[Curve]) -> bool:
        """Whether a training with this curve so far has shown that it will not be among the best.

        `peers` are the curves to compare with: of all others, or of all that cost no more.
        """
        if self.fraction is None or curve[-1][0] < self.fraction - 1e-9 or curve[-1][0] >= 1:
            return False
        reached = [score_at(peer, self.fraction) for peer in peers if peer[-1][0] >= self.fraction - 1e-9]
        if not reached:
            return False
        return bool(score_at(curve, self.fraction) < np.quantile(reached, 1 - self.keep))

    def final(self, curve: Curve) -> float | None:
        """The score that a training stopped early, anywhere, would have ended with.

        By linear regression on the score there; None of too few curves to learn from.
        """
        if len(self._final) < FEWEST:
            return None
        column = max(int(np.searchsorted(GRID, curve[-1][0] + 1e-9)) - 1, 0)
        known, now = self._scores[:, column], score_at(curve, GRID[column])
        spread = np.var(known)
        slope = float(np.cov(known, self._final, bias=True)[0, 1] / spread) if spread > 0 else 0.0
        estimate = float(self._final.mean()) + slope * (now - float(known.mean()))
        return max(estimate, 0.0)


def score_at(curve: Curve, fraction: float) -> float:
    """The score at a fraction of the training, linear between the epochs."""
    fractions, scores = np.asarray(curve, dtype=np.float64).T
    return float(np.interp(fraction, fractions, scores))


def _correlation(a: NDArray[np.float64], b: NDArray[np.float64]) -> float:
    if np.ptp(a) == 0 or np.ptp(b) == 0:
        return 0.0
    return float(spearmanr(a, b).statistic)
