"""The start of a detector's training: build it, let it inherit, and set the statistics of its norms."""

from __future__ import annotations

import torch
from torch import nn

from detector.data.records import CocoData
from detector.model.detector import Detector
from detector.training.plan import Plan
from detector.training.start.judging import judged
from detector.training.start.sampled import sampled
from detector.weights.inherited import inherit
from nars import parallel
from nars.device import seeded

__all__ = ["started"]

_IMAGES, _AT_ONCE = 48, 8
"""Training images that set the statistics of norms, and how many of them are seen at once."""


def started(plan: Plan, data: CocoData, device: torch.device, seed: int) -> Detector:
    """Build the detector of a plan for `data`, on the CPU, and let it inherit from the plan's parent, if any.

    What the parent lacks is drawn from `seed`. The channels of a detector that matter most for the data are
    taken (`judged`). The running statistics of batch norms become those of some
    training images: other channels and other pixels than the parent's pass through them, and a short training
    would not forget the parent's. Raises `WeightsError` if the stages of the trunks differ in kind.
    """
    model = plan.build(len(data.classes), seed)
    if plan.parent is not None:
        with seeded(seed, device), parallel.alone():  # every process does the same
            inherit(model, judged(plan.parent, plan.parts, data, device), data.classes)
            _recalibrate(model.to(device), data)
    return model


@torch.no_grad()
def _recalibrate(model: Detector, data: CocoData) -> None:
    """Set the statistics of all batch norms, frozen ones too, to their means over training images.

    Every map that a norm sees counts equally; the norms of a tower see several of a pyramid in each batch.
    """
    norms = [each for each in model.modules() if isinstance(each, nn.BatchNorm2d | nn.SyncBatchNorm)]
    momenta = [norm.momentum for norm in norms]
    model.train()
    for norm in norms:
        norm.train()
        norm.reset_running_stats()
        norm.momentum = None  # the mean of all maps until now
    for batch in sampled(model, data, _IMAGES, _AT_ONCE):
        model.losses(batch)
    for norm, momentum in zip(norms, momenta, strict=True):
        norm.momentum = momentum
    model.eval()
