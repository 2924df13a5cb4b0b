"""Plans the training of a searched detector, or of what else `nars detect train` takes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch

from detector.data.records import CocoData
from detector.model.settings import Settings
from detector.space.candidate import DetectorCandidate
from detector.training.plan import CPU_SETTINGS, Plan, fitted_anchors, in_proportion, plan, seen_pixels
from detector.weights.checkpoints import Checkpoint, read_checkpoint
from detector.weights.parents import DetectorParent
from detector.weights.saved import SavedDetector
from nars.spec import Architecture

__all__ = ["plan_candidate", "planned_for"]


def plan_candidate(
    candidate: DetectorCandidate,
    data: CocoData,
    device: torch.device,
    *,
    weights: str | Checkpoint | None = None,
    parent: DetectorParent | None = None,
    settings: Mapping[str, Any] | None = None,
    fit_anchors: bool | None = None,
) -> Plan:
    """Plan the training of a searched detector on `data`, as `detector.training.plan.plan` does.

    Settings at their defaults are the training's to choose; `settings` are those that were given, by
    field, and come first. If the boxes have fewer sizes than the candidate has anchors, the detector
    gets fewer; without weights, no stage is frozen unless `settings` say so. Raises `SpecError`,
    `WeightsError`, and `DataError` for boxes that no anchors fit.
    """
    checkpoint = read_checkpoint(weights) if isinstance(weights, str) else weights
    given = seen_pixels(checkpoint, parent) | in_proportion(candidate.settings, settings or {})
    chosen = dict(CPU_SETTINGS) if device.type == "cpu" else {}
    fields = Settings.model_fields
    own = {name: getattr(candidate.settings, name) for name in fields}
    own = {name: value for name, value in own.items() if value != fields[name].default}
    if checkpoint is None and parent is None:
        own.pop("freeze", None)  # random weights have to be learned
    planned = Settings(**chosen | own | given | {"resize_in_training": False})
    if fit_anchors is None:
        fit_anchors = candidate.anchors == "fitted" and not {"anchor_sizes", "anchor_ratios"} & given.keys()
    if fit_anchors:
        planned = planned.replace(**fitted_anchors(data, planned))
    return Plan.on(data, candidate.architecture, planned, checkpoint, parent)


def planned_for(
    source: DetectorCandidate | Architecture | SavedDetector | str,
    data: CocoData,
    device: torch.device,
    *,
    weights: str | Checkpoint | None = None,
    parent: DetectorParent | None = None,
    settings: Mapping[str, Any] | None = None,
    fit_anchors: bool | None = None,
) -> Plan:
    """Plan the training of any source by `plan_candidate` or `detector.training.plan.plan`."""
    make: Callable[..., Plan] = plan_candidate if isinstance(source, DetectorCandidate) else plan
    return make(
        source, data, device, weights=weights, parent=parent, settings=settings, fit_anchors=fit_anchors
    )
