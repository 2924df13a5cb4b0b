"""The progress of a training within an epoch."""

from __future__ import annotations

import time
from dataclasses import dataclass

__all__ = ["Pace", "Step"]


@dataclass(frozen=True)
class Step:
    """The progress of a training after a step."""

    epoch: int
    """The current epoch, counted from 1."""
    epochs: int
    """All epochs of the training."""
    step: int
    """The step within the epoch, counted from 1."""
    steps: int
    """All steps of an epoch."""
    loss: float
    seconds_left: float
    """Seconds to the end at the current pace, without the time of measurements."""


class Pace:
    """Tells how long the rest of a training takes at the pace of the current epoch."""

    def __init__(self, epoch: int, epochs: int, steps: int, first: int = 0) -> None:
        """Start the clock: `epoch` of `epochs`, from 0, is about to do step `first` of `steps`, from 0."""
        self.steps = steps
        self._epoch, self._epochs, self._first = epoch, epochs, first
        self._began = time.perf_counter()

    def after(self, step: int, loss: float) -> Step:
        """The progress when `step`, counted from 0, is done."""
        pace = (time.perf_counter() - self._began) / (step + 1 - self._first)
        seconds_left = pace * (self.steps * (self._epochs - self._epoch) - step - 1)
        return Step(self._epoch + 1, self._epochs, step + 1, self.steps, loss, seconds_left)
