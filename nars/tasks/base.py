"""The contract between a search and what it searches for."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass

import torch

from nars.spec import Candidate
from nars.training.loop import Progress

__all__ = ["Outcome", "Task"]


@dataclass(frozen=True)
class Outcome:
    """What one training of a candidate gave."""

    score: float
    """The task's metric on val after the last epoch trained, in 0..1."""
    epochs: int
    """Epochs trained; fewer than the recipe's where `on_epoch` stopped it."""
    curve: tuple[tuple[float, float], ...]
    """(share of the recipe's epochs done, score then), one pair for each measurement."""
    seconds: float


class Task(ABC):
    """Trains and scores candidates. It has no state that one training leaves to the next."""

    name: str
    metric: str
    device: torch.device

    @property
    @abstractmethod
    def num_classes(self) -> int:
        """Outputs that the network of a candidate needs."""

    @property
    @abstractmethod
    def fingerprint(self) -> str:
        """Changes with the data and with the task, so that no search goes on with another."""

    @abstractmethod
    def describe(self) -> str:
        """One line: which data, how many images and classes."""

    @abstractmethod
    def run(
        self, candidate: Candidate, *, seed: int, on_epoch: Callable[[Progress], bool] | None = None
    ) -> Outcome:
        """Train `candidate` on train and score it on val; test is not looked at.

        `on_epoch` is called after each measurement and ends the training by returning False.
        Raises `TrialError` where this candidate cannot be trained.
        """
