"""Plans a detector for training: its parts, its weights, and settings that suit the data.

Settings that aren't given are chosen here, and nowhere else:

- A published detector keeps its settings. On a CPU it is trained on 64 regions per image instead
  of 512, and on fewer proposals, whose suppression would take longer than the network.
- A searched architecture sees images at the size at which objects are as large as the resolution
  that it was searched for, between that resolution and the published 224 pixels, and never larger
  than they are. Its anchors are fitted to the boxes.
- Pixels are normalized as they were for the weights it starts from.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import torch

from detector.assembly import build
from detector.data.records import CocoData
from detector.model.anchors import fit_anchors, sizes_of
from detector.model.catalogue import published, published_settings
from detector.model.detector import Detector
from detector.model.parts import Parts, parts_of
from detector.model.resizing import longest, own_side, resized
from detector.model.settings import Settings
from detector.weights.checkpoints import Checkpoint, checkpoint_of, read_checkpoint
from detector.weights.class_order import in_order_of
from detector.weights.parents import DetectorParent
from detector.weights.saved import SavedDetector
from nars.device import seeded
from nars.foreign.parts import counted
from nars.spec import Architecture

__all__ = ["CPU_SETTINGS", "Plan", "fitted_anchors", "plan", "seen_pixels", "shorter_side"]

logger = logging.getLogger(__name__)

CPU_SETTINGS: Mapping[str, Any] = {
    "box_samples": 64,
    "train_candidates": 500,
    "train_proposals": 200,
    "test_candidates": 500,
}
"""Settings of a training on a CPU, by field, unless others are given."""

_PUBLISHED_SHORTEST = 224
"""Pixels of the shorter side of an image in the published detectors."""

_STEP = 16
"""Sizes are rounded to multiples of this many pixels."""


@dataclass(frozen=True, eq=False)
class Plan:
    """Everything that `detector.build` takes, except the number of classes."""

    parts: Parts
    settings: Settings
    checkpoint: Checkpoint | None = None
    parent: DetectorParent | None = None
    """The network that the detector inherits from, instead of loading a checkpoint."""

    @classmethod
    def on(
        cls,
        data: CocoData,
        parts: Parts,
        settings: Settings,
        checkpoint: Checkpoint | None,
        parent: DetectorParent | None,
    ) -> Self:
        """The plan of a training on `data`, in whose order the checkpoint gets its classes."""
        ordered = None if checkpoint is None else in_order_of(checkpoint, data.classes)
        return cls(parts, settings, ordered, parent)

    @property
    def has_weights(self) -> bool:
        """Whether the detector starts from weights that were trained."""
        return self.checkpoint is not None or self.parent is not None

    def build(self, num_classes: int, seed: int) -> Detector:
        """The detector; what the checkpoint lacks is drawn from `seed`. Raises `WeightsError`.

        `detector.training.start` lets it inherit.
        """
        with seeded(seed, torch.device("cpu")):
            return build(self.parts, num_classes, self.checkpoint, self.settings)


def plan(
    source: Architecture | SavedDetector | str,
    data: CocoData,
    device: torch.device,
    *,
    weights: str | Checkpoint | None = None,
    parent: DetectorParent | None = None,
    settings: Mapping[str, Any] | None = None,
    fit_anchors: bool | None = None,
) -> Plan:
    """Plan the training of a searched architecture, a saved detector or a published one on `data`.

    - `weights`: as for `detector.build`
    - `parent`: what the detector inherits from instead; it then sees pixels as that does
    - `settings`: those that were given, by field; they come first
    - `fit_anchors`: whether anchors are fitted to the boxes; by default those of a searched
      architecture are, unless `settings` has some

    Raises `UsageError`, `SpecError`, `WeightsError`, and `DataError` for boxes that no anchors fit.
    """
    checkpoint = read_checkpoint(weights) if isinstance(weights, str) else weights
    given = seen_pixels(checkpoint, parent) | dict(settings or {}) | {"resize_in_training": False}
    defaults: dict[str, Any] = dict(CPU_SETTINGS) if device.type == "cpu" else {}
    if isinstance(source, SavedDetector):
        checkpoint = checkpoint or (checkpoint_of(source) if parent is None else None)
        parts, planned = source.parts, source.settings.replace(**in_proportion(source.settings, given))
    elif isinstance(source, str):
        own = published_settings(source)
        parts, planned = published(source), own.replace(**defaults | in_proportion(own, given))
    else:
        sizes = _sizes(source.resolution, data, given)
        parts, planned = parts_of(source), Settings(**defaults | sizes | given)
        if fit_anchors is None:
            fit_anchors = "anchor_sizes" not in given and "anchor_ratios" not in given
    if fit_anchors:
        planned = planned.replace(**fitted_anchors(data, planned))
    return Plan.on(data, parts, planned, checkpoint, parent)


def seen_pixels(checkpoint: Checkpoint | None, parent: DetectorParent | None) -> dict[str, Any]:
    """The setting ``pixels`` of the weights that a training starts from; empty if none say it."""
    origin = checkpoint if parent is None else parent
    return {} if origin is None or origin.pixels is None else {"pixels": origin.pixels}


def in_proportion(settings: Settings, given: Mapping[str, Any]) -> dict[str, Any]:
    """The settings that were `given`; a shorter side alone takes the longer one of `settings` with it."""
    if "shortest" not in given or "longest" in given:
        return dict(given)
    shorter = max(given["shortest"])
    return {"longest": round(settings.longest * shorter / max(settings.shortest)), **given}


def fitted_anchors(data: CocoData, settings: Settings) -> dict[str, Any]:
    """`anchor_sizes` and `anchor_ratios` fitted to the training boxes as the detector will see them.

    There are fewer of them if the boxes have fewer sizes; if these are fewer than the maps, none are fitted.
    """
    boxes = torch.tensor(_seen_boxes(data, settings), dtype=torch.float64).reshape(-1, 4)
    maps, per_map = len(settings.anchor_sizes), len(settings.anchor_sizes[0])
    different = sizes_of(boxes)
    if different < maps:
        sizes = counted(different, "size")
        logger.warning("boxes of %s are too few to fit anchors on %d maps to them", sizes, maps)
        return {}
    per_map = min(per_map, different // maps)
    fitted, ratios = fit_anchors(boxes, maps, per_map, len(settings.anchor_ratios))
    return {"anchor_sizes": fitted, "anchor_ratios": ratios}


def _seen_boxes(data: CocoData, settings: Settings) -> list[list[float]]:
    """Training boxes as 0, 0, width, height after resizing to the middle one of the sizes."""
    middle = sorted(settings.shortest)[len(settings.shortest) // 2]
    boxes = []
    for image in data.train.images:
        height, width = resized(image.height, image.width, middle, settings.longest)
        for annotation in data.train.by_image[image.id]:
            if not annotation.crowd:
                sides = annotation.box[2] * width / image.width, annotation.box[3] * height / image.height
                boxes.append([0.0, 0.0, *sides])
    return boxes


def _sizes(resolution: int, data: CocoData, given: Mapping[str, Any]) -> dict[str, Any]:
    """`shortest` and `longest` for an architecture of this resolution, without those that are given.

    If one of the two is given, the other follows it.
    """
    if "shortest" in given:
        return {"longest": longest(max(given["shortest"]))}
    images = data.train.images
    shorter = float(np.median([own_side(image.height, image.width) for image in images]))
    shares = [
        (annotation.box[2] * annotation.box[3]) ** 0.5 / own_side(image.height, image.width)
        for image in images
        for annotation in data.train.by_image[image.id]
        if not annotation.crowd and annotation.box[2] > 0 and annotation.box[3] > 0
    ]
    wanted = resolution / float(np.median(shares)) if shares else shorter
    most = max(resolution, min(_PUBLISHED_SHORTEST, shorter))
    shortest = max(resolution, round(min(wanted, most) / _STEP) * _STEP)
    if "longest" in given:
        return {"shortest": (min(shortest, given["longest"]),)}
    return {"shortest": (shortest,), "longest": longest(shortest)}


def shorter_side(resolution: int, data: CocoData) -> int:
    """Pixels of an image's shorter side for an architecture that was searched for this resolution."""
    return int(_sizes(resolution, data, {})["shortest"][0])
