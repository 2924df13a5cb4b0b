"""Batches of a few training images as they are, for what is measured before a training."""

from __future__ import annotations

from collections.abc import Iterator

import torch

from detector.data.records import CocoData
from detector.model.batched.slots import Batch
from detector.model.detector import Detector
from detector.training.dataset import DetectionDataset
from detector.training.hyperparameters import Training
from nars.data.images import evenly, in_groups

__all__ = ["sampled"]


def sampled(model: Detector, data: CocoData, count: int, at_once: int) -> Iterator[Batch]:
    """At most `count` training images, evenly spread, `at_once` a batch, at the detector's size and place."""
    device: torch.device = next(model.parameters()).device
    settings = Training(flip=0.0).augmentation(model.settings)
    dataset = DetectionDataset.training(data, settings, model.settings.mask)
    for numbers in in_groups(evenly(len(dataset), count), at_once):
        samples = [dataset[int(number)] for number in numbers]
        images = [image.to(device) for image, _ in samples]
        targets = [{name: values.to(device) for name, values in target.items()} for _, target in samples]
        yield model.batch(images, targets)
