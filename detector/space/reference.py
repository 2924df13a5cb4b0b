"""How a parent is fine-tuned as a detector before the first candidate of a search."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from detector.model.parts import by_stages
from detector.model.resizing import longest
from detector.model.settings import Settings
from detector.space.candidate import DetectorCandidate
from detector.space.decoding import anchors
from detector.space.lengths import passes, passes_from_scratch
from detector.training.hyperparameters import Training
from detector.weights.parents import DetectorParent
from nars.tasks.reference import FineTuning

__all__ = [
    "BOX_SAMPLES",
    "FINE_TUNING",
    "DetectorReference",
    "fine_tuning",
    "from_scratch",
    "reference_candidate",
    "reference_of",
]

FINE_TUNING = Training(lr=0.04, batch_size=4, warmup_epochs=0.5, ema_decay=0.985, jitter=(0.8, 1.2))
"""The recipe of every fine-tuning of a detector; its epochs depend on the number of images.
On two sets .04 and .12 were equal within the noise, .24 was harmful: ``experiments.detector_rates``."""

_SIZES, _RATIOS = 5, 3
"""Anchors of the reference, of which candidates have as many or fewer."""

BOX_SAMPLES = 32
"""Regions of an image that the box head learns from: with 64 a training took twice as long and was no better,
with 16 it was somewhat worse. Source: ``experiments.detector_lengths``."""

_OF_TRAINING: Mapping[str, Any] = {"resize_in_training": True, "freeze": 0, "box_samples": BOX_SAMPLES}
"""Settings that a trained parent has for its own training only."""


class DetectorReference(FineTuning):
    """How a detector is fine-tuned on the data; `resolution` is the shorter side of its images in pixels."""

    later_fields: ClassVar[tuple[str, ...]] = ("mask",)

    recipe: Training
    mask: bool = False
    """Whether the detector segments, too."""

    @property
    def epochs(self) -> int:
        return self.recipe.epochs

    def for_epochs(self, epochs: int) -> DetectorReference:
        return self.model_copy(update={"recipe": self.recipe.replace(epochs=epochs)})


def fine_tuning(images: int) -> Training:
    """The recipe of a training that starts from weights, on so many images."""
    return FINE_TUNING.replace(epochs=passes(images))


def from_scratch(images: int) -> Training:
    """The recipe of a training that starts from random weights, on so many images."""
    return Training(epochs=passes_from_scratch(images))


def reference_of(
    side: int, images: int, flip: float, *, mask: bool = False, epochs: int | None = None
) -> DetectorReference:
    """The fine-tuning on so many images of `side` pixels, in `epochs` or as many as `passes` gives."""
    recipe = fine_tuning(images) if epochs is None else FINE_TUNING.replace(epochs=epochs)
    return DetectorReference(resolution=side, recipe=recipe.replace(flip=flip), mask=mask)


def reference_candidate(parent: DetectorParent, settings: DetectorReference) -> DetectorCandidate:
    """The parent as a candidate; a detector keeps its settings other than the sizes of images."""
    parts = by_stages(parent.parts).replace(name="reference")
    maps = 1 if parts.fpn is None else len(parts.trunk)
    base = parent.settings or Settings(**anchors(maps, _SIZES, _RATIOS))
    side = settings.resolution
    return DetectorCandidate(
        architecture=parts,
        settings=base.replace(shortest=(side,), longest=longest(side), mask=settings.mask, **_OF_TRAINING),
        recipe=settings.recipe,
    )
