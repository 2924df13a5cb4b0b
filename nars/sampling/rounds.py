"""Rounds of trials: those of a round are proposed from the same predictions."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

__all__ = ["FIRST_BATCH", "Rounds"]

FIRST_BATCH = 6
"""Trials before the first prediction: a process that knows MACs and parameters needs no more."""

_SHARE = 1 / 16
"""Size of a round as a share of the trials before it; at least one trial."""

_LARGEST = 32
"""Most trials of a round."""


@dataclass(frozen=True)
class Rounds:
    """The first batch and the rounds after it, each a share of the trials before it."""

    first_batch: int = FIRST_BATCH

    def start(self, place: int) -> int:
        """How many trials come before the round of the trial that has `place` trials before it."""
        start = end = 0
        while end <= place:
            start, end = end, max(self.first_batch, end + self.size(end))
        return start

    def size(self, start: int) -> int:
        """Trials of the round that has `start` trials before it, the first batch left aside."""
        return int(np.clip(_SHARE * start, 1, _LARGEST))
