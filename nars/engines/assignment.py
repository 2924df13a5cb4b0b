"""The arguments of ``nars worker``, the same for every worker of a search and on every engine."""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from nars.artifacts.store import Store
from nars.runs.passwords import without_password
from nars.runs.run import Run
from nars.training.metrics import is_function

__all__ = ["NARS", "THREADS", "Assignment", "last_error"]

NARS = ("-m", "nars")
"""Arguments with which Python runs ``nars``; an experiment with a task of its own has a module of its own."""

THREADS = dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1")
"""Environment that limits a worker to one thread, since threads on busy cores slow each other down."""

_ERROR = "nars: "
"""Beginning of the line with a user's mistake that a command ends with."""


@dataclass(frozen=True)
class Assignment:
    """The search that workers work on; nothing in it is secret."""

    storage: str
    """A path or a URL, without a password."""
    study: str
    device: str
    artifacts: str
    """Location of the store of weights and checkpoints."""
    metric: str | None
    """The function that scores the search; None for a metric that nars has."""
    run: Path
    """The run folder."""
    program: tuple[str, ...] = NARS
    """Arguments with which Python runs nars, on whatever machine."""
    log: Path | None = None
    """The file that the output of workers is appended to; None lets it pass to the terminal."""

    @classmethod
    def of(cls, run: Run, store: Store, log: Path | None = None) -> Self:
        metric = run.config.metric if is_function(run.config.metric) else None
        storage = without_password(run.storage)
        return cls(storage, run.name, run.config.device, store.location, metric, run.folder, NARS, log)

    def command(self) -> list[str]:
        """Return the command that starts a worker, which ends with the process that calls this.

        A folder for artifacts that this machine does not have is left out: the worker knows what to do then.
        """
        words = [sys.executable, *self.program, "worker", "--storage", self.storage, "--study", self.study]
        words += ["--parent", str(os.getpid()), "--device", self.device]
        if "://" in self.artifacts or Path(self.artifacts).is_dir():
            words += ["--artifacts", self.artifacts]
        return words if self.metric is None else [*words, "--metric", self.metric]


def last_error(text: str) -> str | None:
    """Return the last error message in the output of a worker; None if there is none."""
    lines = reversed(text.splitlines())
    return next((line.removeprefix(_ERROR) for line in lines if line.startswith(_ERROR)), None)
