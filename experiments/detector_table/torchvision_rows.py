"""Torchvision's detectors, trained from scratch by a plain loop with the same recipe, images and schedule."""

from __future__ import annotations

from typing import Any, cast

import torch
from torch import nn
from torchvision.models.detection import fasterrcnn_mobilenet_v3_large_320_fpn, ssdlite320_mobilenet_v3_large

from detector.data.records import CocoData
from detector.evaluation.loop import Evaluation, evaluate
from detector.model.settings import Settings
from detector.training.batches import GroupedBatches
from detector.training.dataset import DetectionDataset, training_loader
from detector.training.hyperparameters import Training
from detector.training.plan import CPU_SETTINGS
from nars.training import updates

__all__ = ["trained", "untrained"]

_SIDE, _LONGEST = 224, 320
"""Pixels of the shorter side of an image, and most of the longer one, as for the published detectors."""


def untrained(name: str, classes: int) -> nn.Module:
    """The detector ``d_faster`` or ``d_ssd`` with random weights."""
    fresh: dict[str, Any] = {"weights": None, "weights_backbone": None, "num_classes": classes + 1}
    if name == "d_ssd":
        return cast(nn.Module, ssdlite320_mobilenet_v3_large(**fresh))
    model = fasterrcnn_mobilenet_v3_large_320_fpn(
        **fresh,
        min_size=_SIDE,
        max_size=_LONGEST,
        box_batch_size_per_image=CPU_SETTINGS["box_samples"],
        rpn_pre_nms_top_n_train=CPU_SETTINGS["train_candidates"],
        rpn_post_nms_top_n_train=CPU_SETTINGS["train_proposals"],
    )
    return cast(nn.Module, model)


def trained(
    name: str, data: CocoData, training: Training, device: torch.device, seed: int
) -> tuple[nn.Module, Evaluation]:
    """Train one from random weights, and measure its average on val."""
    torch.manual_seed(seed)
    model = untrained(name, len(data.classes)).to(device).train()
    settings = Settings(shortest=(_SIDE,), longest=_LONGEST)
    dataset = DetectionDataset.training(data, training.augmentation(settings), seed=seed)
    batches = GroupedBatches(dataset.aspect_ratios, training.batch_size, seed)
    loader = training_loader(dataset, batches)
    recipe = training.recipe(training.batch_size)
    average = updates.averaged(model, recipe)
    scaler = torch.amp.GradScaler(device.type, enabled=False)
    update = updates.Update(model, recipe, updates.optimizer(model, recipe), scaler, average)
    steps = batches.steps_per_epoch
    for epoch in range(training.epochs):
        batches.start(epoch)
        for step, (images, targets) in enumerate(loader):
            if len(images) == 1:  # whose maps of one pixel have no statistics
                images, targets = 2 * images, 2 * targets
            update.prepare((epoch + step / steps) / training.epochs)
            moved = [{key: target[key].to(device) for key in ("boxes", "labels")} for target in targets]
            losses = model([image.to(device) for image in images], moved)
            update(torch.stack(list(losses.values())).sum())
    final = model if average is None else average.module
    return final, evaluate(final, data, device=device)
