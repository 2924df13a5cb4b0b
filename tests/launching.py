"""Starts the workers of a search on this machine."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from optuna.study import Study

from nars.artifacts.location import store_of_run
from nars.engines.local import Local
from nars.engines.supervise import supervise
from nars.runs.run import Run

__all__ = ["launch"]


def launch(
    run: Run, workers: int, watch: Callable[[Study], None] | None = None, log: Path | None = None
) -> Study:
    """Supervise the workers of a search and return its study."""
    study = run.study()
    supervise(run, study, store_of_run(run.folder, study), Local(), workers, watch, log)
    return study
