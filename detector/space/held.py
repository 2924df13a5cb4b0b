"""Holds a part of a space of detectors: the detector or the recipe of a file, while the other is searched."""

from __future__ import annotations

from typing import Any

from detector.model.catalogue import published, published_settings
from detector.model.parts import by_stages
from detector.model.resizing import longest
from detector.model.settings import Settings
from detector.space.candidate import DetectorCandidate
from detector.space.decoding import OF_SETTINGS, RECIPE
from detector.training.hyperparameters import LR, Training
from nars.documents import is_yaml, kind_of, read_text
from nars.errors import SpecError, UsageError
from nars.space.rows import RowSpace
from nars.spec import Block

__all__ = ["detector_in", "held_detector", "held_recipe", "recipe_in"]

_NOT_SEARCHED = ("amp", "patience")
"""Further fields of a recipe that a search decides for itself: it has pruners."""

_OF_SPACES = (
    "shortest",
    "longest",
    "pooler_resolution",
    "test_proposals",
    "anchor_sizes",
    "anchor_ratios",
    "mask",
    "resize_in_training",
)
"""Settings of a detector that a space decides, next to those of a recipe."""

_OF_TRAININGS = ("pixels", "train_candidates", "train_proposals", "test_candidates")
"""Settings that depend on the weights that a training starts from, and on its device."""

Recipe = tuple[Training, Settings]
"""A recipe, and the settings of a detector that only its training has."""


def detector_in(name_or_file: str) -> DetectorCandidate:
    """The candidate in a file, or a published detector by name. Raises `UsageError`, `SpecError`."""
    if is_yaml(name_or_file):
        return DetectorCandidate.load(name_or_file)
    return DetectorCandidate(architecture=published(name_or_file), settings=published_settings(name_or_file))


def recipe_in(file: str) -> Recipe:
    """The recipe in the file of a candidate or of a training. Raises `SpecError`."""
    if kind_of(read_text(file), file) == Training.kind:
        return Training.load(file), Settings()
    candidate = DetectorCandidate.load(file)
    return candidate.recipe, candidate.settings


def held_detector(candidate: DetectorCandidate) -> dict[str, Any]:
    """The fields of a space in which every detector is that of `candidate`, its anchors by their number.

    Raises `SpecError` for a longer side that is not in proportion, and for settings that no search has.
    """
    parts, settings = by_stages(candidate.architecture), candidate.settings
    side = max(settings.shortest)
    if settings.longest != longest(side):
        expected = f"a search takes {longest(side)} for a shorter side of {side}"
        raise SpecError(f"{candidate.title} has a longest side of {settings.longest}, {expected}")
    _check_shared(candidate)
    heads = {name: _rows(name, getattr(parts, name) or ()) for name in ("rpn", "box", "mask")}
    return heads | {
        "resolution": side,
        "pooler_resolution": settings.pooler_resolution,
        "proposals": settings.test_proposals,
        "sizes": len(settings.anchor_sizes[0]),
        "ratios": len(settings.anchor_ratios),
        "fpn": parts.fpn,
        "styles": {},
        "style": None,
        "norm_eps": parts.norm_eps,
        "norm_momentum": parts.norm_momentum,
        "trunk": [_rows(f"stage{index}", stage) for index, stage in enumerate(parts.trunk)],
    }


def held_recipe(recipe: Recipe) -> dict[str, Any]:
    """The fields of a space in which every training has this recipe.

    Raises `UsageError` for a recipe that no space describes.
    """
    training, settings = recipe
    low, high = training.jitter
    if round(low + high, 9) != 2:
        raise UsageError(f"a search jitters sizes by 1 - j to 1 + j, the recipe by {low:g} to {high:g}")
    if settings.box_background_iou != settings.box_object_iou:
        ious = f"{settings.box_background_iou:g} and {settings.box_object_iou:g}"
        raise UsageError(f"a search takes one box_iou for box_background_iou and box_object_iou, got {ious}")
    images = Training.model_fields["lr_images"].default
    if training.lr_images != images:
        raise UsageError(
            f"a search takes rates for {images} images a step, got lr_images {training.lr_images}"
        )
    values = {name: getattr(training, name) for name in RECIPE if name in Training.model_fields}
    values |= {key: getattr(settings, names[0]) for key, names in OF_SETTINGS.items()}
    values |= {"jitter": round(high - 1, 9), "lr": training.lr or LR[training.optimizer]}
    return {
        "recipe": {key: value for key, value in values.items() if key not in _NOT_SEARCHED},
        "lr_factor": {},
    }


def _check_shared(candidate: DetectorCandidate) -> None:
    """Raise `SpecError` for a setting that is the same in all searches, and another one here."""
    decided = {*_OF_SPACES, *_OF_TRAININGS, *(name for names in OF_SETTINGS.values() for name in names)}
    for name, field in Settings.model_fields.items():
        value = getattr(candidate.settings, name)
        if name not in decided and value != field.default:
            title = candidate.title
            raise SpecError(
                f"{title} has {name} = {value!r}, a search has {field.default!r} for all detectors"
            )


def _rows(name: str, blocks: tuple[Block, ...]) -> list[RowSpace]:
    """Rows with nothing open that hold exactly these blocks."""
    rows = []
    for index, block in enumerate(blocks):
        fields = block.model_dump()
        rows.append(RowSpace(name=f"{name}_{index}", depth=fields.pop("repeats"), **fields))
    return rows
