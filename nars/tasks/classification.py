"""Image classification, scored by accuracy."""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property
from pathlib import Path
from typing import Self

import torch

from nars.data import ImageData, ImageSize, load
from nars.device import memory_errors, seeded
from nars.networks.build import build
from nars.parents.judging import with_importance
from nars.parents.parent import Parent
from nars.parents.start import as_seen_by, start
from nars.parents.statistic import Answers, answers, answers_of, echo
from nars.spec import Candidate
from nars.tasks.base import Outcome, Task
from nars.training.loop import Progress, train

__all__ = ["Classification"]


class Classification(Task):
    """The task of telling which class an image shows."""

    name = "classification"
    metric = "accuracy"

    def __init__(self, data: ImageData, device: torch.device, parent: Parent | None = None) -> None:
        """Candidates inherit from `parent`, and see images normalized as it does, if there is one."""
        self.data = data if parent is None else as_seen_by(parent, data)
        self.device = device
        self.parent = parent

    @classmethod
    def open(cls, source: str | Path, device: torch.device, *, drop_bad: bool = False) -> Self:
        """Load the data at `source`; `drop_bad` leaves unreadable images out. Raises `DataError`."""
        return cls(load(source, drop_bad=drop_bad), device)

    def inheriting(self, parent: Parent) -> Classification:
        return Classification(self.data, self.device, parent)

    @cached_property
    def _judged_parent(self) -> Parent | None:
        """The parent with the importance of its channels for the data, measured once."""
        if self.parent is None or self.parent.importance:
            return self.parent
        with memory_errors("judging the channels of the parent"):
            return with_importance(self.parent, self.data, self.device)

    @cached_property
    def _parents_answers(self) -> Answers:
        """The answers of the parent, asked once."""
        assert self.parent is not None
        return answers_of(self.parent, self.data, self.device)

    @property
    def num_classes(self) -> int:
        return len(self.data.classes)

    @property
    def fingerprint(self) -> str:
        return f"{self.name}:{self.data.fingerprint}"

    @property
    def images(self) -> ImageSize:
        return self.data.size

    def describe(self) -> str:
        sizes = ", ".join(f"{len(self.data.split(name))} {name}" for name in ("train", "val", "test"))
        return f"classification of {self.data.name}: {len(self.data.classes)} classes, {sizes} images"

    def foretell(self, candidate: Candidate) -> float | None:
        """How much of the parent's logits can be read off the features that are only inherited, at most 1."""
        origin, architecture = self._judged_parent, candidate.architecture
        if origin is None:
            return None
        with seeded(0, self.device), memory_errors("building the network"):
            model = build(architecture, len(self.data.classes))
            start(model, architecture, origin, self.data, self.device)
            child = answers(model, self.data, resolution=architecture.resolution, device=self.device)
            return echo(child, self._parents_answers)

    def run(
        self, candidate: Candidate, *, seed: int, on_epoch: Callable[[Progress], bool] | None = None
    ) -> Outcome:
        architecture, recipe = candidate.architecture, candidate.recipe
        origin = self._judged_parent
        with seeded(seed, self.device), memory_errors("building the network"):
            model = build(architecture, len(self.data.classes), recipe)
            if origin is not None:
                start(model, architecture, origin, self.data, self.device)
        trained = train(
            model,
            self.data,
            recipe,
            resolution=architecture.resolution,
            device=self.device,
            seed=seed,
            on_epoch=on_epoch,
        )
        curve = tuple((progress.fraction, progress.accuracy) for progress in trained.curve)
        return Outcome(trained.val.accuracy, len(curve), curve, trained.curve[-1].seconds)
