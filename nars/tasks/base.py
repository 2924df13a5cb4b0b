"""The contract between a search and its task: train a candidate, return its score."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass

import torch

from nars.data import ImageSize
from nars.errors import UsageError
from nars.parents.parent import Parent
from nars.spec import Candidate
from nars.training.loop import Progress

__all__ = ["Outcome", "Task"]


@dataclass(frozen=True)
class Outcome:
    """The result of one training of a candidate."""

    score: float
    """Metric of the task on val after the last epoch trained, in 0..1."""
    epochs: int
    """Epochs trained; fewer than the recipe's if `on_epoch` ended the training."""
    curve: tuple[tuple[float, float], ...]
    """Pairs of (share of the recipe's epochs done, score then), one for each measurement."""
    seconds: float
    """Duration of the training."""


class Task(ABC):
    """Trains and scores candidates. No training leaves state behind for the next."""

    name: str
    metric: str
    """Name of the score, such as ``accuracy``."""
    device: torch.device
    """Device that trainings run on."""

    @property
    @abstractmethod
    def num_classes(self) -> int:
        """Number of classes, which are the outputs that a candidate's network needs."""

    @property
    @abstractmethod
    def fingerprint(self) -> str:
        """Text that changes with the data and the task, so no search continues on other data."""

    @property
    def images(self) -> ImageSize | None:
        """The size of the training images; None if it has no say in the choice of a space."""
        return None

    def inheriting(self, parent: Parent) -> Task:
        """The same task with candidates that inherit from a parent. Raises `UsageError` if it cannot."""
        raise UsageError(f"candidates of the task {self.name} cannot inherit from {parent.source} yet")

    def foretell(self, candidate: Candidate) -> float | None:
        """Measure what is known of a candidate before it is trained: larger is better.

        None if the task knows nothing. Raises `TrialError` if this candidate cannot be measured.
        """
        return None

    @abstractmethod
    def describe(self) -> str:
        """Describe the data in one line: its name, and how many images and classes it has."""

    @abstractmethod
    def run(
        self, candidate: Candidate, *, seed: int, on_epoch: Callable[[Progress], bool] | None = None
    ) -> Outcome:
        """Train `candidate` on train and score it on val, without ever looking at test.

        `on_epoch` is called after each measurement and ends the training by returning False.
        Raises `TrialError` if this candidate cannot be trained.
        """
