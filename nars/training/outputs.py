"""The files, callbacks and early end of a classifier's training; nothing here changes a weight."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from torch import Tensor, nn

from nars.spec import Architecture
from nars.training.evaluation import Metrics
from nars.training.logs import Row
from nars.training.metrics import Metric
from nars.training.progress import Pace, Progress, Step

__all__ = ["Outputs", "numbers_of", "row", "scores"]

_QUIET = 0.5
"""Seconds between two calls of ``on_step`` within an epoch, because a GPU has to synchronize for each."""


@dataclass(frozen=True)
class Outputs:
    """The files that a training writes, its callbacks, and when it may end early."""

    folder: Path | None = None
    """Folder for ``results.csv``, TensorBoard's files if it is installed, ``weights/best.pt`` and
    ``weights/last.pt``; it needs `save`."""
    save: Callable[[Path, nn.Module, Metrics], None] | None = None
    """Writes the weights of a network, measured as `Metrics` on val, to a file."""
    checkpoint: Path | None = None
    """File from which an interrupted training continues; it is rewritten after every epoch."""
    architecture: Architecture | None = None
    """The network in words, for the checkpoint: another may have tensors of the same shapes."""
    start: str | None = None
    """Fingerprint of the weights that the network starts from, for the checkpoint; None for random ones."""
    patience: int = 0
    """Epochs without a better score after which the training ends; 0 means never."""
    on_step: Callable[[Step], None] | None = None
    """Called after the last step of an epoch, and after others at most twice a second."""
    on_epoch: Callable[[Progress], bool] | None = None
    """Called after every epoch; the training ends if it returns False."""

    def saving(self, model: nn.Module, val: Metrics) -> Callable[[Path], None]:
        """The function that writes the weights of `model` to a file by `save`."""

        def write(path: Path) -> None:
            assert self.save is not None, "a folder needs a function that writes weights"
            self.save(path, model, val)

        return write

    def goes_on(self, epoch: Progress) -> bool:
        """Whether the training goes on after an epoch, as `on_epoch` says."""
        return self.on_epoch is None or self.on_epoch(epoch)

    def shown(self, pace: Pace) -> Callable[[int, Tensor], None]:
        """The function that calls `on_step` after a step of an epoch, counted from 0, with its loss."""
        last = -math.inf

        def show(step: int, loss: Tensor) -> None:
            nonlocal last
            now = time.perf_counter()
            if self.on_step is not None and (now - last >= _QUIET or step + 1 == pace.steps):
                last = now
                self.on_step(pace.after(step, loss.item()))

        return show


def scores(curve: Sequence[Progress]) -> list[float]:
    """The score of every epoch."""
    return [entry.score for entry in curve]


def numbers_of(val: Metrics, metric: Metric) -> dict[str, float]:
    """The metrics of val that are numbers, and the one that scores the epochs, for `Progress`."""
    numbers = {name: value for name, value in vars(val).items() if isinstance(value, float)}
    numbers[metric.name] = numbers.pop("score")
    return {f"val_{name}": value for name, value in numbers.items()}


def row(entry: Progress) -> Row:
    """The numbers of an epoch by the columns of ``results.csv``."""
    lr = float(f"{entry.lr:.6g}")  # of 0.04000000000000001
    head = {"epoch": entry.epoch, "seconds": round(entry.seconds, 1), "lr": lr, "loss": entry.loss}
    return head | dict(entry.numbers)
