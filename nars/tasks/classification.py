"""Image classification, scored by accuracy or another metric."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Self

import torch

from nars.data import ImageData, ImageSize, load
from nars.device import memory_errors, seeded
from nars.networks.build import build
from nars.parents.parent import Parent
from nars.parents.start import as_seen_by, start
from nars.spec import Candidate
from nars.tasks.base import Outcome, Task
from nars.training.evaluation import check_metric
from nars.training.loop import Progress, train
from nars.training.metrics import ACCURACY, Metric
from nars.trials import SCORES

__all__ = ["Classification"]

_MOST_CLASSES = 50
"""Classes up to which an outcome has a confusion matrix, since every trial's record keeps it."""


class Classification(Task):
    """The task of telling which class an image shows."""

    name = "classification"
    metric = "accuracy"

    def __init__(
        self,
        data: ImageData,
        device: torch.device,
        parent: Parent | None = None,
        metric: Metric = ACCURACY,
    ) -> None:
        """Candidates inherit from `parent`, and see images normalized as it does, if there is one."""
        self.data = data if parent is None else as_seen_by(parent, data)
        self.device = device
        self.parent = parent
        self.metric = metric.name
        self._metric = metric

    @classmethod
    def open(cls, source: str | Path, device: torch.device, *, drop_bad: bool = False) -> Self:
        """Load the data at `source`; `drop_bad` leaves unreadable images out. Raises `DataError`."""
        return cls(load(source, drop_bad=drop_bad), device)

    def inheriting(self, parent: Parent) -> Classification:
        return Classification(self.data, self.device, parent, self._metric)

    def scored_by(self, metric: Metric) -> Classification:
        check_metric(metric, self.data, "val")
        return Classification(self.data, self.device, self.parent, metric)

    @property
    def num_classes(self) -> int:
        return len(self.data.classes)

    @property
    def classes(self) -> tuple[str, ...] | None:
        return self.data.classes if self.num_classes <= _MOST_CLASSES else None

    @property
    def fingerprint(self) -> str:
        return f"{self.name}:{self.data.fingerprint}"

    @property
    def images(self) -> ImageSize:
        return self.data.size

    def describe(self) -> str:
        sizes = ", ".join(f"{len(self.data.split(name))} {name}" for name in ("train", "val", "test"))
        return f"classification of {self.data.name}: {len(self.data.classes)} classes, {sizes} images"

    def run(
        self, candidate: Candidate, *, seed: int, on_epoch: Callable[[Progress], bool] | None = None
    ) -> Outcome:
        architecture, recipe = candidate.architecture, candidate.recipe
        with seeded(seed, self.device), memory_errors("building the network"):
            model = build(architecture, len(self.data.classes), recipe)
            if self.parent is not None:
                start(model, architecture, self.parent, self.data, self.device)
        trained = train(
            model,
            self.data,
            recipe,
            resolution=architecture.resolution,
            device=self.device,
            seed=seed,
            on_epoch=on_epoch,
            metric=self._metric,
        )
        curve = tuple((progress.fraction, progress.score) for progress in trained.curve)
        return Outcome(
            trained.score,
            len(curve),
            curve,
            trained.curve[-1].seconds,
            metrics={name: getattr(trained.val, name) for name in SCORES},
            confusion=None if self.classes is None else trained.val.confusion,
        )
