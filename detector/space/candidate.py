"""The candidate of a detection search: a detector, its settings and its recipe, as one file."""

from __future__ import annotations

from typing import ClassVar, Literal, Self

from pydantic import model_validator

from detector.model.parts import Parts
from detector.model.settings import Settings
from detector.training.hyperparameters import Training
from nars.spec import NumClasses, Trainable

__all__ = ["DetectorCandidate"]


class DetectorCandidate(Trainable):
    """A detector and how it is trained; `nars detect train` takes the file as it stands.

    Raises `SpecError` for settings that do not fit the parts.
    """

    kind: ClassVar[str] = "detector_candidate"

    architecture: Parts
    settings: Settings = Settings()
    """A setting at its default is the training's to choose, such as fewer proposals on a CPU."""
    anchors: Literal["fitted", "given"] = "fitted"
    """Whether the anchors are fitted to the boxes of the training data, as many as `settings` has."""
    recipe: Training = Training()
    data: str | None = None
    """The data it was searched for or trained on, as ``--data`` names it; None if that is not recorded."""
    num_classes: NumClasses | None = None
    """Classes of these data, by which its costs are counted; None if that is not recorded."""

    @model_validator(mode="after")
    def _rules(self) -> Self:
        parts, settings = self.architecture, self.settings
        parts.check_sizes(settings.longest, max(settings.pooler_resolution, settings.mask_pooler_resolution))
        maps = 1 if parts.fpn is None else len(parts.trunk)
        if len(settings.anchor_sizes) != maps:
            raise ValueError(
                f"anchor_sizes needs a list for each of {maps} maps, got {len(settings.anchor_sizes)}"
            )
        if settings.mask and parts.mask is None:
            raise ValueError("a detector without a mask head has mask off")
        if settings.freeze > len(parts.trunk):
            raise ValueError(
                f"freeze is at most the {len(parts.trunk)} stages of the trunk, got {settings.freeze}"
            )
        return self
