"""From what is asked for to a detector ready to train: parts, weights, settings that suit the data.

What isn't asked for is chosen here, and nowhere else:

- a published detector keeps its settings; on a CPU it is trained on 64 regions per image instead
  of 512, and on fewer proposals, whose suppression would take longer than the network
- a searched architecture sees images at the size at which objects are as large as the resolution
  that it was searched for, within that resolution and the published 224 pixels, and never larger
  than they are; its anchors are fitted to the boxes
- pixels are normalized as for the weights it starts from
"""

from __future__ import annotations

import logging
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from detector.data.records import CocoData
from detector.model.anchors import fit_anchors
from detector.model.catalogue import published, published_settings
from detector.model.detector import Detector
from detector.model.parts import Parts, parts_of
from detector.model.resizing import resized
from detector.model.settings import Settings
from detector.weights.checkpoints import Checkpoint, read_checkpoint
from detector.weights.loading import load_checkpoint
from detector.weights.saved import SavedDetector
from nars.device import seeded
from nars.spec import Architecture

__all__ = ["CPU_SETTINGS", "Plan", "fitted_anchors", "plan"]

logger = logging.getLogger(__name__)

CPU_SETTINGS: Mapping[str, Any] = {
    "box_samples": 64,
    "train_candidates": 500,
    "train_proposals": 200,
    "test_candidates": 500,
}

_PUBLISHED_SHORTEST, _PUBLISHED_LONGEST = 224, 320
_STEP = 16
"""Sizes are rounded to multiples of so many pixels."""


@dataclass(frozen=True, eq=False)
class Plan:
    """What a detector is built from."""

    parts: Parts
    settings: Settings
    checkpoint: Checkpoint | None = None

    def build(self, num_classes: int, seed: int) -> Detector:
        """The detector, with fresh weights where the checkpoint has none. Raises `WeightsError`."""
        with seeded(seed, torch.device("cpu")):
            model = Detector(self.parts, num_classes, self.settings)
        if self.checkpoint is not None:
            logger.info("%s", load_checkpoint(model, self.checkpoint))
        return model


def plan(
    source: Architecture | SavedDetector | str,
    data: CocoData,
    device: torch.device,
    *,
    weights: str | None = None,
    settings: Mapping[str, Any] | None = None,
    fit_anchors: bool | None = None,
) -> Plan:
    """A searched architecture, a detector's file or a published detector's name, for training on `data`.

    `weights` as for `detector.build`; `settings` are those that were asked for, by field. Anchors
    are fitted where `fit_anchors` says so; None is as above. Raises `UsageError`, `SpecError`,
    `WeightsError`, and `DataError` for boxes that no anchors fit.
    """
    checkpoint = None if weights is None else read_checkpoint(weights)
    asked = dict(settings or {}) | {"resize_in_training": False}
    chosen: dict[str, Any] = dict(CPU_SETTINGS) if device.type == "cpu" else {}
    if checkpoint is not None and checkpoint.pixels is not None:
        chosen["pixels"] = checkpoint.pixels
    if isinstance(source, SavedDetector):
        checkpoint = checkpoint or read_checkpoint(source.source)
        parts, found = source.parts, source.settings.replace(**asked)
    elif isinstance(source, str):
        parts, found = published(source), published_settings(source).replace(**chosen | asked)
    else:
        parts, found = parts_of(source), Settings(**chosen | _sizes(source.resolution, data, asked) | asked)
        if fit_anchors is None:
            fit_anchors = "anchor_sizes" not in asked and "anchor_ratios" not in asked
    if fit_anchors:
        found = found.replace(**fitted_anchors(data, found))
    return Plan(parts, found, checkpoint)


def fitted_anchors(data: CocoData, settings: Settings) -> dict[str, Any]:
    """`anchor_sizes` and `anchor_ratios` for the training boxes as the detector will see them."""
    boxes = torch.tensor(_seen_boxes(data, settings), dtype=torch.float64)
    maps, sizes = len(settings.anchor_sizes), len(settings.anchor_sizes[0])
    different = len(boxes[:, 2:].prod(1).unique())
    sizes = max(1, min(sizes, different // maps))
    found_sizes, ratios = fit_anchors(boxes, maps, sizes, len(settings.anchor_ratios))
    return {"anchor_sizes": found_sizes, "anchor_ratios": ratios}


def _seen_boxes(data: CocoData, settings: Settings) -> list[list[float]]:
    """Training boxes as 0, 0, width, height after resizing to the middle one of the sizes."""
    middle = sorted(settings.shortest)[len(settings.shortest) // 2]
    boxes = []
    for image in data.train.images:
        height, width = resized(image.height, image.width, middle, settings.longest)
        for one in data.train.by_image[image.id]:
            if not one.crowd:
                sides = one.box[2] * width / image.width, one.box[3] * height / image.height
                boxes.append([0.0, 0.0, *sides])
    return boxes


def _sizes(resolution: int, data: CocoData, asked: Mapping[str, Any]) -> dict[str, Any]:
    """`shortest` and `longest` for an architecture of this resolution, or the one that fits the other."""
    if "shortest" in asked:
        return {"longest": _longest(max(asked["shortest"]))}
    images = data.train.images
    shorter = float(np.median([min(image.width, image.height) for image in images]))
    shares = [
        (one.box[2] * one.box[3]) ** 0.5 / min(image.width, image.height)
        for image in images
        for one in data.train.by_image[image.id]
        if one.box[2] > 0 and one.box[3] > 0
    ]
    wanted = resolution / float(np.median(shares)) if shares else shorter
    most = max(resolution, min(_PUBLISHED_SHORTEST, shorter))
    shortest = max(resolution, round(min(wanted, most) / _STEP) * _STEP)
    if "longest" in asked:
        return {"shortest": (min(shortest, asked["longest"]),)}
    return {"shortest": (shortest,), "longest": _longest(shortest)}


def _longest(shortest: int) -> int:
    return math.ceil(shortest * _PUBLISHED_LONGEST / _PUBLISHED_SHORTEST / _STEP) * _STEP
