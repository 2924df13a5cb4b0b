"""Image classification, scored by accuracy or another metric."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cached_property
from pathlib import Path
from typing import Self

import torch

from nars.data import ImageData, ImageSize, load
from nars.device import memory_errors, seeded
from nars.errors import UsageError
from nars.foreign.parts import Part
from nars.networks.build import build
from nars.networks.weights import save_weights
from nars.parents.parent import Origin, Parent
from nars.parents.start import as_seen_by, judged, start, teacher_of
from nars.parents.statistic import Answers, answers, answers_of, echo
from nars.space.base import SearchSpace
from nars.spec import Architecture, Candidate, Trainable
from nars.tasks.base import Outcome, Task, build_errors
from nars.training.evaluation import check_metric, evaluate
from nars.training.loop import Outputs, Progress, Trained, train
from nars.training.metrics import ACCURACY, Metric
from nars.training.rehearsal import rehearsal
from nars.trials import SCORES

__all__ = ["Classification"]

_MOST_CLASSES = 50
"""Classes up to which an outcome has a confusion matrix, since every trial's record keeps it."""


class Classification(Task):
    """The task of telling which class an image shows."""

    name = "classification"
    metric = "accuracy"
    inherits = True
    parent: Parent | None

    def __init__(
        self,
        data: ImageData,
        device: torch.device,
        parent: Parent | None = None,
        metric: Metric = ACCURACY,
    ) -> None:
        """Candidates inherit from `parent`, and see images normalized as it does, if there is one.

        A parent that tells apart the classes of the data teaches candidates, too, if their recipes say so.
        """
        self.data = data if parent is None else as_seen_by(parent, data)
        self.device = device
        self.parent = parent
        self._judged = parent
        self.teacher = teacher_of(parent, self.data.classes, device)
        self.metric = metric.name
        self._metric = metric

    @classmethod
    def open(cls, source: str | Path, device: torch.device, *, drop_bad: bool = False) -> Self:
        """Load the data at `source`; `drop_bad` leaves unreadable images out. Raises `DataError`."""
        return cls(load(source, drop_bad=drop_bad), device)

    def parts(self) -> tuple[Part, ...]:
        return self.data.parts

    def suited(self, space: SearchSpace, *, mask: bool = False) -> SearchSpace:
        """The space as it is, but without a parent no stage is frozen: random weights have to be learned."""
        if self.parent is not None or not space.recipe.get("frozen"):
            return space
        return space.replace(recipe={**space.recipe, "frozen": 0.0})

    def left_out(self) -> tuple[str, ...]:
        return self.data.dropped

    def inheriting(self, parent: Origin) -> Classification:
        assert isinstance(parent, Parent), parent
        return Classification(self.data, self.device, parent, self._metric)

    def scored_by(self, metric: Metric) -> Classification:
        check_metric(metric, self.data, "val")
        return Classification(self.data, self.device, self.parent, metric)

    def _origin(self, architecture: Architecture) -> Parent | None:
        """The parent, with the importance of its channels for the data if a candidate chooses among them.

        It is measured once.
        """
        if self._judged is not None:
            with memory_errors("judging the channels of the parent"):
                self._judged = judged(self._judged, architecture, self.data, self.device)
        return self._judged

    @cached_property
    def _parents_answers(self) -> Answers:
        """The answers of the parent, asked once."""
        assert self.parent is not None
        return answers_of(self.parent, self.data, self.device)

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
    def earlier_fingerprints(self) -> tuple[str, ...]:
        return tuple(f"{self.name}:{earlier}" for earlier in self.data.earlier_fingerprints)

    @property
    def images(self) -> ImageSize:
        return self.data.size

    @property
    def examples(self) -> int:
        return len(self.data.train)

    @property
    def teaches(self) -> bool:
        return self.teacher is not None

    def describe(self) -> str:
        sizes = ", ".join(f"{len(self.data.split(name))} {name}" for name in ("train", "val", "test"))
        return f"classification of {self.data.name}: {len(self.data.classes)} classes, {sizes} images"

    def foretell(self, candidate: Trainable) -> float | None:
        """How much of the parent's logits can be read off the features that are only inherited, at most 1."""
        architecture = _classifier(candidate).architecture
        origin = self._origin(architecture)
        if origin is None:
            return None
        with seeded(0, self.device), memory_errors("building the network"), build_errors():
            model = build(architecture, len(self.data.classes))
            start(model, architecture, origin, self.data, self.device)
            child = answers(model, self.data, resolution=architecture.resolution, device=self.device)
            return echo(child, self._parents_answers)

    def rehearse(self, candidate: Trainable) -> Callable[[], object]:
        candidate = _classifier(candidate)
        side, recipe = candidate.architecture.resolution, candidate.recipe
        with memory_errors(f"training at {side} px in batches of {recipe.batch_size}"), build_errors():
            model = build(candidate.architecture, self.num_classes, recipe)
            data = self.data.fitted(recipe.fit)
            return rehearsal(model, data, recipe, resolution=side, device=self.device, teacher=self.teacher)

    def run(
        self,
        candidate: Trainable,
        *,
        seed: int,
        on_epoch: Callable[[Progress], bool] | None = None,
        checkpoint: Path | None = None,
    ) -> Outcome:
        candidate = _classifier(candidate)
        architecture, recipe = candidate.architecture, candidate.recipe
        data = self.data.fitted(recipe.fit)
        origin = self._origin(architecture)
        with seeded(seed, self.device), memory_errors("building the network"), build_errors():
            model = build(architecture, len(self.data.classes), recipe)
            if origin is not None:
                start(model, architecture, origin, data, self.device)
        trained = train(
            model,
            data,
            recipe,
            resolution=architecture.resolution,
            device=self.device,
            seed=seed,
            teacher=self.teacher,
            metric=self._metric,
            outputs=Outputs(
                checkpoint=checkpoint,
                architecture=architecture,
                start=None if self.parent is None else self.parent.fingerprint,
                on_epoch=on_epoch,
            ),
        )
        curve = tuple((progress.fraction, progress.score) for progress in trained.curve)
        return Outcome(
            trained.score,
            len(curve),
            curve,
            trained.curve[-1].seconds,
            write=lambda path: self._write(path, trained, candidate),
            test=lambda: self._test(trained, data, architecture.resolution),
            metrics={name: getattr(trained.val, name) for name in SCORES},
            confusion=None if self.classes is None else trained.val.confusion,
        )

    def _write(self, path: Path, trained: Trained, candidate: Candidate) -> None:
        metrics = {f"val_{self.metric}": trained.score}
        data = self.data
        save_weights(
            path,
            trained.model,
            candidate,
            metrics,
            classes=data.classes,
            mean=data.mean,
            std=data.std,
            data_fingerprint=data.fingerprint,
        )

    def _test(self, trained: Trained, data: ImageData, resolution: int) -> Mapping[str, float]:
        test = evaluate(
            trained.model, data, "test", resolution=resolution, device=self.device, metric=self._metric
        )
        known = {"accuracy": test.accuracy, "balanced_accuracy": test.balanced_accuracy}
        return {self.metric: test.score} | known


def _classifier(candidate: Trainable) -> Candidate:
    """The candidate, if it is a classifier. Raises `UsageError` for another kind."""
    if not isinstance(candidate, Candidate):
        raise UsageError(
            f"{candidate.title} is a {candidate.kind}, which the task classification cannot train"
        )
    return candidate
