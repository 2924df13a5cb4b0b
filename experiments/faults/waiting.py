"""A search whose trainings only wait."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Self

import numpy as np
import torch

from experiments.kill_and_resume import SPACE
from nars.cli import main as nars_command
from nars.engines import assignment
from nars.errors import DataError
from nars.space.cost import count
from nars.spec import Candidate, Trainable
from nars.tasks import TASKS
from nars.tasks.base import Outcome, Task
from nars.training.loop import Progress

__all__ = ["PROGRAM", "Waiting", "run_nars", "search_command"]

PROGRAM = ("-m", "experiments.faults")
"""Arguments with which Python runs the command line of nars, with one more task."""

SECONDS = "seconds"
"""File of a folder of data with the duration of an epoch."""

_EPOCH_SECONDS = 0.4
"""Duration of an epoch of a stub training, which has two to four, if the data are no folder."""


class Waiting(Task):
    """A task whose trainings only wait; its score is a function of the candidate's MACs.

    Its data are a folder with the duration of an epoch, which every epoch reads anew, or a word.
    """

    name = "waiting"
    metric = "accuracy"

    def __init__(self, device: torch.device, source: Path) -> None:
        self.device = device
        self._file = source / SECONDS if source.is_dir() else None

    @classmethod
    def open(cls, source: str | Path, device: torch.device, *, drop_bad: bool = False) -> Self:
        if "/" in str(source) and not Path(source).is_dir():
            raise DataError(f"no data at {source}: not a folder")
        return cls(device, Path(source))

    @property
    def num_classes(self) -> int:
        return 10

    @property
    def fingerprint(self) -> str:
        return self.name

    def describe(self) -> str:
        return "no data"

    def run(
        self,
        candidate: Trainable,
        *,
        seed: int,
        on_epoch: Callable[[Progress], bool] | None = None,
        checkpoint: Path | None = None,
    ) -> Outcome:
        assert isinstance(candidate, Candidate)
        score = min(1.0, 0.1 * float(np.log10(count(candidate.architecture, num_classes=10).macs)))
        epochs, curve, began = candidate.recipe.epochs, [], time.monotonic()
        for epoch in range(1, epochs + 1):
            time.sleep(self._epoch_seconds())
            curve.append((epoch / epochs, score))
            if on_epoch is not None and not on_epoch(Progress(epoch, epochs, score, 1.0, 0.0)):
                break
        return Outcome(score, len(curve), tuple(curve), time.monotonic() - began)

    def _epoch_seconds(self) -> float:
        if self._file is None:
            return _EPOCH_SECONDS
        try:
            return float(self._file.read_text())
        except OSError as error:
            raise DataError(f"cannot read {self._file}: {error.strerror}") from None


def run_nars(arguments: list[str]) -> int:
    """Run a command of nars that knows the task, in this process and in the workers that it starts."""
    TASKS[Waiting.name] = "experiments.faults:Waiting"
    assignment.NARS = PROGRAM
    return nars_command(arguments)


def search_command(
    folder: Path,
    budget: int,
    workers: int,
    storage: str | None = None,
    engine: str = "local",
    data: str | Path = "none",
) -> list[str]:
    """Return the command of a search of stub trainings, which writes its space beside the run folder."""
    space = folder.with_suffix(".yaml")
    space.write_text(SPACE)
    command = [sys.executable, *PROGRAM, "search", "--task", Waiting.name, "--data", str(data)]
    command += ["--space", str(space), "--budget", str(budget), "--workers", str(workers)]
    command += ["--sampler", "random", "--no-early-stopping", "--device", "cpu", "--run", str(folder)]
    return [*command, "--engine", engine, *(["--storage", storage] if storage else [])]
