"""The reference: the parent, fine-tuned on the data before the first candidate is trained.

Candidates inherit from it, it teaches them, and they are compared with it. It is no trial: it may exceed
the limits, never wins, and the sampler does not learn from it. It is trained in a study of its own, beside
that of the search; the study of the search has a copy of its record.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import optuna
from optuna.study import Study
from pydantic import Field

from nars.documents import Frozen
from nars.errors import RunError, TrialError
from nars.internals import storage_of
from nars.runs.budget import Budget
from nars.space.base import SearchSpace
from nars.spec import Candidate, Recipe
from nars.studies import foretold_seconds, reference_record

if TYPE_CHECKING:  # these import torch
    from nars.tasks.base import Outcome, Task
    from nars.training.progress import Progress

__all__ = [
    "EPOCHS",
    "FINE_TUNING",
    "Reference",
    "charged",
    "fine_tune",
    "fine_tuning",
    "reference_candidate",
    "reference_of",
    "study_name",
]


EPOCHS = 6
"""Epochs of a fine-tuning unless others are asked for, or the photos are few (`nars.searching.steps`)."""


FINE_TUNING = Recipe(
    lr=0.05,
    batch_size=32,
    ema=True,
    ema_decay=0.99,
    label_smoothing=0.1,
    augmentation="flip",
    crop_area=0.5,
)
"""The recipe of every fine-tuning; only its epochs are chosen."""


class Reference(Frozen):
    """How a parent is fine-tuned on the data."""

    resolution: Annotated[int, Field(ge=1)]
    """The side, in pixels, of the images that it is trained on."""
    recipe: Recipe


def reference_of(space: SearchSpace, side: int, epochs: int) -> Reference:
    """The fine-tuning for a search in `space` over images of a median `side` in pixels.

    Its resolution is the largest of the space that the images fill, or else the smallest of the space. The
    recipe is one that fine-tunes EfficientNet-Lite0 well on a few thousand photos in `epochs` epochs.
    """
    offered = space.sides
    filled = [resolution for resolution in offered if resolution <= side]
    return Reference(resolution=max(filled, default=min(offered)), recipe=FINE_TUNING.replace(epochs=epochs))


def reference_candidate(settings: Reference, task: Task) -> Candidate:
    """The parent of a task's candidates with the recipe and the resolution that it is fine-tuned with."""
    assert task.parent is not None, "a search with a reference has a parent"
    architecture = task.parent.architecture.replace(name="reference", resolution=settings.resolution)
    return Candidate(architecture=architecture, recipe=settings.recipe)


def fine_tune(
    candidate: Candidate,
    task: Task,
    seed: int,
    on_epoch: Callable[[Progress], bool] | None = None,
    checkpoint: Path | None = None,
) -> Outcome:
    """Train a `reference_candidate` as `Task.run` does. Raises `RunError` if it cannot be trained."""
    assert task.parent is not None, "a search with a reference has a parent"
    try:
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
