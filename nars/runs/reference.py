"""The reference: the parent, fine-tuned on the data before the first candidate is trained.

Candidates inherit from it, it teaches them, and they are compared with it. It is no trial: it may exceed
the limits, never wins, and the sampler does not learn from it. It is trained in a study of its own, beside
that of the search; the study of the search has a copy of its record.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import optuna
from optuna.study import Study

from nars.errors import RunError, StorageAwayError, TrialError
from nars.internals import storage_of
from nars.runs.budget import Budget
from nars.spec import Trainable
from nars.studies import foretold_seconds, reference_record

if TYPE_CHECKING:  # these import torch
    from nars.tasks.base import Outcome, Task
    from nars.training.progress import Progress

__all__ = ["charged", "fine_tune", "fine_tuning", "study_name"]

logger = logging.getLogger(__name__)


def fine_tune(
    candidate: Trainable,
    task: Task,
    seed: int,
    on_epoch: Callable[[Progress], bool] | None = None,
    checkpoint: Path | None = None,
) -> Outcome:
    """Train a `Task.reference_candidate` as `Task.run` does. Raises `RunError` if it cannot be trained.

    A `checkpoint` that it cannot continue from, because the parent or the code has changed, is deleted.
    """
    assert task.parent is not None, "a search with a reference has a parent"
    try:
        try:
            return task.run(candidate, seed=seed, on_epoch=on_epoch, checkpoint=checkpoint)
        except StorageAwayError:
            raise
        except RunError as error:
            if checkpoint is None or not checkpoint.exists():
                raise
            logger.warning("the fine-tuning starts anew, with no checkpoint: %s", error)
            checkpoint.unlink()
            return task.run(candidate, seed=seed, on_epoch=on_epoch, checkpoint=checkpoint)
    except TrialError as error:
        raise RunError(f"{task.parent.source} cannot be fine-tuned: {error}") from None


def charged(budget: Budget, study: Study) -> Budget:
    """The budget of a search, charged with the seconds of its reference and of what was foretold after it."""
    record = reference_record(study)
    return budget.charged((record.seconds or 0.0 if record else 0.0) + foretold_seconds(study))


def fine_tuning(study: Study) -> Study | None:
    """The study of the reference beside that of a search; None before there is one."""
    storage, name = storage_of(study), study_name(study.study_name)
    if name not in optuna.get_all_study_names(storage):
        return None
    return optuna.load_study(study_name=name, storage=storage, sampler=optuna.samplers.RandomSampler())


def study_name(name: str) -> str:
    """The name of the study of the reference, beside that of a search called `name`."""
    return f"{name}.reference"
