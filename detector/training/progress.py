"""The progress of a training: after an epoch, and within one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

__all__ = ["Epoch", "RunningMeans"]


@dataclass(frozen=True)
class Epoch:
    """The results of an epoch."""

    epoch: int
    """The epoch, counted from 1."""
    epochs: int
    """All epochs of the training."""
    lr: float
    """Learning rate of the last step."""
    losses: Mapping[str, float]
    """Mean losses over the steps, by name; ``loss`` is their sum."""
    samples: Mapping[str, float]
    """Mean objects and background regions per image in the losses of both heads."""
    scores: Mapping[str, float | None] | None
    """`detector.evaluation.coco_ap.Evaluation.numbers` on val; None if the epoch was not measured."""
    seconds: float
    """Seconds since the start, including those before an interruption."""

    @property
    def ap(self) -> float | None:
        """The AP of masks if there are any, else that of boxes; None if it was not measured."""
        scores = self.scores or {}
        return scores.get("mask_ap", scores.get("ap"))

    @property
    def row(self) -> dict[str, float | int | None]:
        """The numbers of the epoch by the columns of ``results.csv``."""
        head = {"epoch": self.epoch, "seconds": round(self.seconds, 1), "lr": self.lr}
        return head | dict(self.losses) | dict(self.samples) | dict(self.scores or {})


@dataclass
class RunningMeans:
    """Means of the logged values over the steps done in the current epoch."""

    step: int = 0
    """How many steps are done."""
    sums: dict[str, float] = field(default_factory=dict)
    """Sums of the logged values over these steps."""

    def add(self, values: Mapping[str, Tensor]) -> None:
        """Count a step and its scalars by name, read from the device in one go."""
        self.step += 1
        numbers = torch.stack([value.detach().double() for value in values.values()]).tolist()
        for name, number in zip(values, numbers, strict=True):
            self.sums[name] = self.sums.get(name, 0.0) + number

    def means(self) -> dict[str, float]:
        """Return the mean of every value."""
        return {name: total / self.step for name, total in self.sums.items()}

    def state_dict(self) -> dict[str, Any]:
        """Return the content for a checkpoint."""
        return {"step": self.step, "sums": dict(self.sums)}

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Take the content of a checkpoint."""
        self.step, self.sums = state_dict["step"], dict(state_dict["sums"])
