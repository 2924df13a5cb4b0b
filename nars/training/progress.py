"""The progress of a training: after an epoch, and within one."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Self

__all__ = ["Pace", "Progress", "Step"]


@dataclass(frozen=True)
class Progress:
    """The state of a training after an epoch, in numbers."""

    epoch: int
    """Epochs done, from 1."""
    epochs: int
    """Epochs of the recipe."""
    score: float
    """The task's metric on val, such as the accuracy, in 0..1."""
    loss: float
    """Mean training loss of the epoch."""
    seconds: float
    """Seconds since the start, including those before an interruption."""
    lr: float = 0.0
    """Learning rate of the last step; 0 if it was not recorded, as by version 0.1."""
    numbers: Mapping[str, float] = field(default_factory=dict)
    """The metrics of val that are numbers, by their names with ``val_`` before them."""

    @property
    def fraction(self) -> float:
        return self.epoch / self.epochs

    @classmethod
    def read(cls, entry: Mapping[str, Any]) -> Self:
        """Read an entry of a checkpoint's curve; version 0.1 called the score ``accuracy``."""
        return cls(**{"score" if name == "accuracy" else name: value for name, value in entry.items()})


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
