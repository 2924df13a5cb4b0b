"""Where a training stands: after a step, after an epoch, and within one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

__all__ = ["Epoch", "RunningMeans", "Step"]


@dataclass(frozen=True)
class Step:
    """Where a training stands after a step."""

    epoch: int
    """From 1; so is `step`."""
    epochs: int
    step: int
    steps: int
    """Of an epoch."""
    loss: float
    seconds_left: float
    """Seconds to the end at the present pace, measurements left out."""


@dataclass(frozen=True)
class Epoch:
    """Where a training stands after an epoch."""

    epoch: int
    """From 1."""
    epochs: int
    lr: float
    """At its last step."""
    losses: Mapping[str, float]
    """Means over the steps, by name; ``loss`` is their sum."""
    samples: Mapping[str, float]
    """Mean objects and background per image that the losses were computed on, of both heads."""
    scores: Mapping[str, float | None] | None
    """Of `detector.evaluation.coco_ap.Evaluation.numbers` on val; None in an epoch that wasn't measured."""
    seconds: float
    """Since the start; of a resumed training, what came before the interruption included."""

    @property
    def ap(self) -> float | None:
        """Of masks where there are any; None in an epoch that wasn't measured."""
        scores = self.scores or {}
        return scores.get("mask_ap", scores.get("ap"))


@dataclass
class RunningMeans:
    """Steps of the present epoch that are done, and sums over them of what is logged."""

    step: int = 0
    sums: dict[str, float] = field(default_factory=dict)

    def add(self, values: Mapping[str, Tensor]) -> None:
        """Count a step with scalars by name."""
        self.step += 1
        numbers = torch.stack([value.detach().double() for value in values.values()]).tolist()
        for name, number in zip(values, numbers, strict=True):
            self.sums[name] = self.sums.get(name, 0.0) + number

    def means(self) -> dict[str, float]:
        return {name: total / self.step for name, total in self.sums.items()}

    def state_dict(self) -> dict[str, Any]:
        return {"step": self.step, "sums": dict(self.sums)}

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        self.step, self.sums = state_dict["step"], dict(state_dict["sums"])
