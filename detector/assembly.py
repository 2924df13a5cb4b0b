"""Builds a detector from an architecture or a published name, with weights if they are given."""

from __future__ import annotations

import logging
from pathlib import Path

from detector.model.catalogue import published, published_settings
from detector.model.detector import Detector
from detector.model.parts import Parts, parts_of
from detector.model.settings import Settings
from detector.weights.checkpoints import Checkpoint, read_checkpoint
from detector.weights.loading import load_checkpoint
from nars.spec import Architecture

__all__ = ["build"]

logger = logging.getLogger(__name__)


def build(
    architecture_or_name: Architecture | Parts | str,
    num_classes: int,
    weights: str | Path | Checkpoint | None = None,
    settings: Settings | None = None,
) -> Detector:
    """A detector with torchvision's interface: see `Detector`.

    - `architecture_or_name`: a searched architecture, a published detector's name, or parts
    - `weights`: a checkpoint's file or published name, see `detector.weights.checkpoints`, or the
      checkpoint itself; what it lacks keeps fresh weights
    - `settings`: by default those of the detector in the file of `weights`, if it has the same parts; else
      those a detector was published with, but pixels are normalized as they were for the weights, if their
      file says how

    Raises `UsageError` for an unknown name or fewer than 1 class, `SpecError` for settings that
    don't fit the parts, `WeightsError` for a checkpoint that can't be used.
    """
    parts, defaults = _described(architecture_or_name)
    checkpoint = read_checkpoint(weights) if isinstance(weights, str | Path) else weights
    if settings is None:
        settings = defaults if checkpoint is None else _settings_of(checkpoint, parts, defaults)
    model = Detector(parts, num_classes, settings)
    if checkpoint is not None:
        report = load_checkpoint(model, checkpoint)
        logger.info("%s", report)
    return model


def _described(source: Architecture | Parts | str) -> tuple[Parts, Settings]:
    """The parts of a detector, and the settings it has by default."""
    if isinstance(source, str):
        return published(source), published_settings(source)
    return (source if isinstance(source, Parts) else parts_of(source)), Settings()


def _settings_of(checkpoint: Checkpoint, parts: Parts, defaults: Settings) -> Settings:
    """The settings that suit the weights: their anchors, above all, are not seen in the tensors."""
    saved = checkpoint.detector
    if saved is not None and saved.parts.replace(name=parts.name) == parts:
        return saved.settings
    return defaults if checkpoint.pixels is None else defaults.replace(pixels=checkpoint.pixels)
