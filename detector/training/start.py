"""The start of a detector's training: build it, let it inherit, and set the statistics of its norms."""

from __future__ import annotations

import torch
from torch import nn

from detector.data.records import CocoData
from detector.model.detector import Detector
from detector.training.dataset import DetectionDataset
from detector.training.hyperparameters import Training
from detector.training.plan import Plan
from detector.weights.inherited import inherit
from nars import parallel
from nars.data.images import evenly, in_groups
from nars.device import seeded

__all__ = ["started"]

_IMAGES, _AT_ONCE = 48, 8
"""Training images that set the statistics of norms, and how many of them are seen at once."""


def started(plan: Plan, data: CocoData, device: torch.device, seed: int) -> Detector:
    """Build the detector of a plan for `data`, on the CPU, and let it inherit from the plan's parent, if any.

    What the parent lacks is drawn from `seed`. The running statistics of batch norms become those of some
    training images: other channels and other pixels than the parent's pass through them, and a short training
    would not forget the parent's. Raises `WeightsError` if the stages of the trunks differ in kind.
    """
    model = plan.build(len(data.classes), seed)
    if plan.parent is not None:
        inherit(model, plan.parent, data.classes)
        with seeded(seed, device), parallel.alone():  # every process does the same
            _recalibrate(model.to(device), data)
    return model


@torch.no_grad()
def _recalibrate(model: Detector, data: CocoData) -> None:
    """Set the statistics of all batch norms, frozen ones too, to their means over training images."""
    norms = [each for each in model.modules() if isinstance(each, nn.BatchNorm2d | nn.SyncBatchNorm)]
    momenta = [norm.momentum for norm in norms]
    device = next(model.parameters()).device
    settings = Training(flip=0.0).augmentation(model.settings)
    dataset = DetectionDataset.training(data, settings, model.settings.mask)
    model.train()
    for norm in norms:
        norm.train()
    for seen, numbers in enumerate(in_groups(evenly(len(dataset), _IMAGES), _AT_ONCE), start=1):
        for norm in norms:
            norm.momentum = 1 / seen  # the mean of all batches until now
        samples = [dataset[int(number)] for number in numbers]
        images = [image.to(device) for image, _ in samples]
        targets = [{name: values.to(device) for name, values in target.items()} for _, target in samples]
        model.losses(model.batch(images, targets))
    for norm, momentum in zip(norms, momenta, strict=True):
        norm.momentum = momentum
    model.eval()
