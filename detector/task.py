"""Detection as a search task: a candidate's score is the AP after a short training."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Self

import torch

from detector.data.check import usable
from detector.data.fingerprint import earlier_fingerprint, fingerprint
from detector.data.masks import check_masks
from detector.data.records import CocoData
from detector.evaluation.interval import ap_interval
from detector.evaluation.loop import evaluate
from detector.evaluation.timing import time_detector
from detector.model.cost import count_parts
from detector.model.detector import Detector
from detector.model.parts import Parts
from detector.space import spaces
from detector.space.candidate import DetectorCandidate
from detector.space.conversion import of_classifiers
from detector.space.from_parent import frozen, image_side, proposals_for, space_of, wholes_of
from detector.space.planned import plan_candidate
from detector.space.reference import DetectorReference, reference_candidate, reference_of
from detector.space.remarks import remarks
from detector.space.space import DetectorSpace
from detector.training.hyperparameters import Training
from detector.training.loop import Outputs, train
from detector.training.plan import plan, shorter_side
from detector.training.progress import Epoch
from detector.training.start import started
from detector.training.start.judging import judged
from detector.training.trainer import Trainer
from detector.weights.inherited import check_trunk
from detector.weights.parents import DetectorParent, parent_called, parent_in
from detector.weights.saved import save_detector
from nars.data import ImageSize, evenly
from nars.device import kernels_for, memory_errors, seeded
from nars.errors import DataError, SpecError, TrialError, UsageError
from nars.foreign.parts import Part
from nars.networks.latency import Latency
from nars.parents.parent import Origin
from nars.space import Space
from nars.space.base import SearchSpace
from nars.space.genotypes import Genotype
from nars.space.values import Range
from nars.spec import Candidate, Trainable
from nars.tasks.base import Outcome, Task
from nars.tasks.reference import FineTuning, filled_side
from nars.training.loop import Progress

__all__ = ["Detection"]

_SIDE_STEP = 16
"""Pixels between two shorter sides of a space that is made of classifiers."""

_FORETELLING = 64
"""Training images on which detectors are measured that have only inherited."""

_SCENES = "digit-scenes"
"""The data whose images are never mirrored: a mirrored digit is not a digit."""


class Detection(Task):
    """Finds which objects are in an image, and where.

    Its candidates are detectors (`detector.space.candidate`). A classifier is trained, too, as the
    detector that `detector.training.plan` cuts from it, by as much of its recipe as applies. Weights
    start fresh, or from a parent. There is no test split.
    """

    name = "detection"
    metric = "ap"
    inherits = True
    foretells_cuts = True  # experiments.detector_cuts
    parent: DetectorParent | None

    def __init__(
        self,
        data: CocoData,
        device: torch.device,
        source: str = "data",
        parent: DetectorParent | None = None,
    ) -> None:
        self.data = data
        self.device = device
        self.source = source
        self.parent = parent
        self._judged = parent
        self._fingerprint = f"{self.name}:{fingerprint(data)}"

    @classmethod
    def open(cls, source: str | Path, device: torch.device, *, drop_bad: bool = False) -> Self:
        """Load and check the data set at `source`. Raises `DataError`."""
        return cls(usable(source, drop_bad=drop_bad), device, str(source))

    def parts(self) -> tuple[Part, ...]:
        return self.data.parts

    @property
    def num_classes(self) -> int:
        return len(self.data.classes)

    @property
    def fingerprint(self) -> str:
        return self._fingerprint

    @property
    def earlier_fingerprints(self) -> tuple[str, ...]:
        return (f"{self.name}:{earlier_fingerprint(self.data)}",)

    def describe(self) -> str:
        sizes = ", ".join(f"{len(subset.images)} {subset.name}" for subset in self.data.subsets)
        return f"detection of {self.source}: {self.num_classes} classes, {sizes} images"

    @property
    def images(self) -> ImageSize:
        return ImageSize(image_side(self.data), 3)

    def parent_called(self, name: str) -> DetectorParent | None:
        return parent_called(name)

    def parent_in(self, file: Path) -> DetectorParent:
        return parent_in(file)

    def inheriting(self, parent: Origin) -> Detection:
        assert isinstance(parent, DetectorParent), parent
        return Detection(self.data, self.device, self.source, parent)

    def check_inherits(self, candidate: Trainable) -> None:
        assert self.parent is not None
        check_trunk(_detector(candidate).architecture, self.parent)

    def space_of_parent(self, max_macs: float | None = None) -> SearchSpace:
        assert self.parent is not None
        return space_of(self.parent, spaces.space(spaces.DEFAULT), self.data, max_macs)

    def reference(self, space: SearchSpace, epochs: int | None) -> FineTuning:
        assert isinstance(space, DetectorSpace)
        side, images = filled_side(space, image_side(self.data)), len(self.data.train.images)
        return reference_of(side, images, self._flip(0.5), mask=bool(space.mask), epochs=epochs)

    def reference_candidate(self, settings: FineTuning) -> Trainable:
        assert isinstance(settings, DetectorReference), settings
        assert self.parent is not None, "a search with a reference has a parent"
        return reference_candidate(self.parent, settings)

    def wholes(self, space: SearchSpace, settings: FineTuning) -> Sequence[Genotype]:
        assert isinstance(space, DetectorSpace)
        assert isinstance(settings, DetectorReference)
        assert self.parent is not None
        return wholes_of(space, reference_candidate(self.parent, settings), proposals_for(self.data))

    def costs(self, candidate: Trainable) -> Mapping[str, int]:
        detector = _detector(candidate)
        cost = count_parts(detector.architecture, detector.settings, self.num_classes)
        return {"macs": cost.macs, "params": cost.params}

    def _flip(self, share: float) -> float:
        """The share of images that are mirrored, for which `share` is usual."""
        return 0.0 if self.source == _SCENES else share

    def suited(self, space: SearchSpace, *, mask: bool = False) -> SearchSpace:
        """The space as one of detectors; input sizes show objects as large as a space of classifiers does.

        Without a parent no stage is frozen: random weights have to be learned.
        """
        if isinstance(space, Space):
            ends = [shorter_side(side, self.data) for side in (min(space.sides), max(space.sides))]
            low, high = (-(-side // _SIDE_STEP) * _SIDE_STEP for side in ends)
            searched = Range(low=low, high=max(low, high), step=_SIDE_STEP)
            space = of_classifiers(space, spaces.space(spaces.DEFAULT), searched)
        assert isinstance(space, DetectorSpace)
        recipe = dict(space.recipe)
        if self.source == _SCENES and "flip" in recipe:
            recipe["flip"] = 0.0
        if self.parent is None and "freeze" in recipe:
            recipe["freeze"] = 0
        is_own = self.parent is not None and space.name == spaces.DEFAULT and bool(space.recipe_names)
        if is_own and recipe.get("freeze") == 0:
            recipe["freeze"] = frozen(len(space.trunk))
        if recipe != space.recipe:
            space = space.replace(recipe=recipe)
        if mask:
            check_masks(self.data)
        return space.segmenting(mask)

    def remarks(self, space: SearchSpace) -> Sequence[str]:
        assert isinstance(space, DetectorSpace), space
        return remarks(space, self.data)

    def latency(self, candidate: Trainable) -> Latency:
        """Time the whole detector, with fresh weights, on the first training image."""
        model, _ = self._fresh()._built(candidate, seed=0)
        return time_detector(model.to(self.device), self.data, "train", self.device, seconds=0.3)

    def _fresh(self) -> Detection:
        """The same task without a parent."""
        return Detection(self.data, self.device, self.source)

    def _origin(self, parts: Parts) -> DetectorParent | None:
        """The parent, with the importance of its channels for the data if a candidate chooses among them.

        It is measured once.
        """
        if self._judged is not None:
            with seeded(0, self.device):
                self._judged = judged(self._judged, parts, self.data, self.device)
        return self._judged

    def _built(self, candidate: Trainable, seed: int) -> tuple[Detector, Training]:
        """The detector before its training, and its recipe. Raises `TrialError` if there is none such."""
        try:
            with memory_errors("building the detector"):
                if isinstance(candidate, DetectorCandidate):
                    planned = plan_candidate(candidate, self.data, self.device, parent=self.parent)
                    recipe = candidate.recipe
                else:
                    assert isinstance(candidate, Candidate)
                    planned = plan(candidate.architecture, self.data, self.device, parent=self.parent)
                    recipe = Training.of_recipe(candidate.recipe)
                planned = replace(planned, parent=self._origin(planned.parts))
                return started(planned, self.data, self.device, seed), recipe
        except (SpecError, DataError) as error:
            if isinstance(error, DataError) and not isinstance(candidate, DetectorCandidate):
                raise  # no classifier of the search would fit the data
            raise TrialError(f"{candidate.title} makes no detector: {error}") from None

    def foretell(self, candidate: Trainable) -> float | None:
        """The AP on some training images of a detector that has only inherited.

        None without a parent that tells the same classes apart, since the detector would guess them.
        """
        if self.parent is None or self.parent.classes != self.data.classes:
            return None
        model, _ = self._built(candidate, seed=0)
        return evaluate(model.to(self.device), self._some, "train", device=self.device).main.ap

    @cached_property
    def _some(self) -> CocoData:
        """The data with few training images."""
        images = self.data.train.images
        few = self.data.train.only(images[index] for index in evenly(len(images), _FORETELLING))
        return self.data.narrowed(few)

    def rehearse(self, candidate: Trainable) -> Callable[[], object]:
        model, training = self._fresh()._built(candidate, seed=0)
        with memory_errors("training a detector"):
            trainer = Trainer(model, self.data, training, self.device, seed=0)
            trainer.batches.start(0, 0)
            trainer.model.train()
            inputs = next(iter(trainer.feed))

        def step() -> object:
            with kernels_for(trainer.pixels):
                return trainer.step(inputs, 0.5)

        return step

    def run(
        self,
        candidate: Trainable,
        *,
        seed: int,
        on_epoch: Callable[[Progress], bool] | None = None,
        checkpoint: Path | None = None,
    ) -> Outcome:
        model, training = self._built(candidate, seed)

        def watch(epoch: Epoch) -> bool:
            return on_epoch is None or on_epoch(_progress(epoch))

        outputs = Outputs(on_epoch=watch, checkpoint=checkpoint)
        trained = train(model, self.data, training, device=self.device, seed=seed, outputs=outputs)
        curve = tuple((epoch.fraction, epoch.score) for epoch in map(_progress, trained.history))

        numbers = trained.evaluation.numbers()
        metrics = {name: value for name, value in numbers.items() if value is not None}

        def write(path: Path) -> None:
            save_detector(path, trained.model, self.data.classes, metrics, self.source)

        seconds = trained.history[-1].seconds
        interval = ap_interval(self.data, trained.evaluation)
        return Outcome(
            curve[-1][1], len(curve), curve, seconds, write=write, metrics=metrics, interval=interval
        )


def _detector(candidate: Trainable) -> DetectorCandidate:
    """The candidate, if it is a detector. Raises `UsageError` for another kind."""
    if not isinstance(candidate, DetectorCandidate):
        raise UsageError(f"{candidate.title} is a {candidate.kind}, which is no detector")
    return candidate


def _progress(epoch: Epoch) -> Progress:
    """Return an epoch in the form of the search, in which the score is the AP."""
    assert epoch.ap is not None, "every epoch is measured"
    return Progress(epoch.epoch, epoch.epochs, epoch.ap, epoch.losses["loss"], epoch.seconds)
