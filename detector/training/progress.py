"""The progress of a training: after an epoch, and within one."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

import torch
from torch import Tensor

__all__ = ["Epoch", "RunningMeans"]

_DIVERGED = "training has diverged; a lower learning rate or clipped gradients help"
"""The cause and the remedy of numbers that are not finite."""


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
    """`detector.evaluation.loop.Evaluation.numbers` on val; None if the epoch was not measured."""
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
        head = {"epoch": self.epoch, "seconds": round(self.seconds, 1), "lr": float(f"{self.lr:.6g}")}
        return head | dict(self.losses) | dict(self.samples) | dict(self.scores or {})


@dataclass
class RunningMeans:
    """Means of the logged values over the steps done in the current epoch."""

    step: int = 0
    """How many steps are done."""
    sums: dict[str, float] = field(default_factory=dict)
    """Sums of the logged values over these steps, without those that are not read yet."""
    loss: float = math.nan
    """The last loss that was read."""
    _unread: list[tuple[tuple[str, ...], Tensor]] = field(default_factory=list)

    def add(self, names: tuple[str, ...], values: Tensor) -> None:
        """Count a step with what `Step` returned: logged values, and a flag for every image."""
        self.step += 1
        self._unread.append((names, values))

    def read(self) -> tuple[int, str] | None:
        """Read the new values from the device in one go.

        Returns the step, from 0, of the first ones that are not finite, and what they are; else None.
        """
        unread, self._unread = self._unread, []
        if not unread:
            return None
        numbers = iter(torch.cat([values for _, values in unread]).tolist())
        for step, (names, values) in enumerate(unread, start=self.step - len(unread)):
            row = list(islice(numbers, len(values)))
            flags = row[len(names) :]
            for name, number in zip(names, row, strict=False):
                self.sums[name] = self.sums.get(name, 0.0) + number
            self.loss = row[names.index("loss")]
            if not all(flags):
                return step, f"proposals of image {flags.index(0)} of the batch are not finite: {_DIVERGED}"
            if not math.isfinite(self.loss):
                return step, f"loss is {self.loss}"
        return None

    def means(self) -> dict[str, float]:
        """Return the mean of every value that was read."""
        return {name: total / self.step for name, total in self.sums.items()}

    def state_dict(self) -> dict[str, Any]:
        """Return the content for a checkpoint."""
        assert not self._unread, "a checkpoint needs all values"
        return {"step": self.step, "sums": dict(self.sums)}

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Take the content of a checkpoint."""
        self.step, self.sums = state_dict["step"], dict(state_dict["sums"])
