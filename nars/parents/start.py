"""The start of a training from a parent: judge its channels, inherit, set the norms, and let it teach."""

from __future__ import annotations

import torch
from torch import nn

from nars import parallel
from nars.data import ImageData
from nars.parents.alignment import streams
from nars.parents.inherit import Inheritance, inherit
from nars.parents.judging import with_importance
from nars.parents.parent import Parent, network_of
from nars.spec import Architecture
from nars.training.evaluation import recalibrate
from nars.training.teacher import Teacher

__all__ = ["as_seen_by", "judged", "start", "teacher_of"]


def as_seen_by(parent: Parent, data: ImageData) -> ImageData:
    """The same data, whose images are normalized as those that the parent was trained on."""
    return data.normalized(torch.tensor(parent.mean), torch.tensor(parent.std))


def teacher_of(parent: Parent | None, classes: tuple[str, ...], device: torch.device) -> Teacher | None:
    """The parent as a teacher on `device`; None if it does not tell apart the same classes."""
    if parent is None or parent.classes != classes:
        return None
    normalization = torch.tensor(parent.mean, device=device), torch.tensor(parent.std, device=device)
    return Teacher(network_of(parent).to(device), parent.architecture.resolution, normalization)


def judged(parent: Parent, architecture: Architecture, data: ImageData, device: torch.device) -> Parent:
    """The parent with the importance of its channels for `data`, if a candidate has to choose among them.

    `data` are normalized as the parent's. Raises `WeightsError` if the stages of the two differ in kind.
    """
    streams(architecture, parent.architecture)
    if parent.importance or architecture.stages == parent.architecture.stages:
        return parent
    return with_importance(parent, data, device)


def start(
    model: nn.Module, architecture: Architecture, parent: Parent, data: ImageData, device: torch.device
) -> Inheritance:
    """Let a fresh classifier of `nars.build` inherit from a parent, in place, and move it to `device`.

    `data` are normalized as the parent's (`as_seen_by`), whose most important channels are taken (`judged`;
    else those of the largest weights). The running statistics of the norms become those of
    256 training images, because other channels and other pixels than the parent's pass through them.
    Raises `WeightsError` if the stages of the two differ in kind.
    """
    inherited = inherit(model, architecture, parent, data.classes)
    with parallel.alone():  # every process does the same
        recalibrate(model.to(device), data, resolution=architecture.resolution, device=device)
    return inherited
