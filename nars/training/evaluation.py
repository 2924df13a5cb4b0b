"""Measures a network, and recalibrates its batch norms before that."""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from nars.data import ImageData, in_order, normalise
from nars.device import half_precision, memory_errors

__all__ = ["Metrics", "evaluate", "moments", "recalibrate"]

_BATCH_NORMS = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d, nn.SyncBatchNorm)
"""Norms that keep running statistics."""

_BATCH = 256
"""Images in a batch of an evaluation, and those that norms are recalibrated on."""


@dataclass(frozen=True)
class Metrics:
    """Scores of a network on one split; shares are in 0..1."""

    accuracy: float
    balanced_accuracy: float
    """Mean recall of the classes that are in the split."""
    top5: float | None
    """None below ten classes."""
    loss: float
    """Mean cross entropy, nats."""
    recall: tuple[float | None, ...]
    """Recall per class; None for a class without an image in the split."""
    images: int


@torch.inference_mode()
def evaluate(
    model: nn.Module, data: ImageData, split: str, *, resolution: int, device: torch.device
) -> Metrics:
    """Measure `model`, which is on `device`, on the ``train``, ``val`` or ``test`` images.

    Raises `TrialMemoryError`, and `DataError` for images that cannot be read.
    """
    part = data.split(split)
    (mean, std), half = moments(model, data, device), half_precision(device)
    was_training = model.training
    model.eval()
    outputs, targets = [], []
    groups = in_order(len(part), _BATCH)
    with memory_errors(f"evaluating at {resolution} px"):
        for images, labels in part.batches(resolution, device, groups):
            with torch.autocast(device.type, dtype=half, enabled=half is not None):
                outputs.append(model(normalise(images, mean, std)))
            targets.append(labels)
    model.train(was_training)
    return _metrics(torch.cat(outputs).float(), torch.cat(targets))


@torch.inference_mode()
def recalibrate(model: nn.Module, data: ImageData, *, resolution: int, device: torch.device) -> None:
    """Set the statistics of batch norms to those of 256 training images with the present weights.

    Running averages lag behind weights that change fast: in the first epochs of a short training
    they make a network that has learnt score like chance, and an averaged network has no
    statistics of its own. Source: "Rethinking Batch in BatchNorm" (Wu, Johnson 2021), section 3.
    Frozen norms, whose weights need no gradient, keep theirs.
    """
    norms = [module for module in model.modules() if isinstance(module, _BATCH_NORMS)]
    norms = [norm for norm in norms if norm.weight is None or norm.weight.requires_grad]
    if not norms:
        return
    numbers = torch.linspace(0, len(data.train) - 1, min(len(data.train), _BATCH)).long()
    (mean, std), half = moments(model, data, device), half_precision(device)
    momenta = [norm.momentum for norm in norms]
    was_training = model.training
    model.eval()
    for norm in norms:
        norm.train()
        norm.momentum = 1.0  # take this batch's, forget the others
    for images, _ in data.train.batches(resolution, device, [numbers]):
        with torch.autocast(device.type, dtype=half, enabled=half is not None):
            model(normalise(images, mean, std))
    for norm, momentum in zip(norms, momenta, strict=True):
        norm.momentum = momentum
    model.train(was_training)


def moments(model: nn.Module, data: ImageData, device: torch.device) -> tuple[Tensor, Tensor]:
    """Mean and deviation [C] of the training images on `device`, C being the input channels of `model`."""
    channels = getattr(model, "in_channels", 3)
    return data.mean[:channels].to(device), data.std[:channels].to(device)


def _metrics(logits: Tensor, labels: Tensor) -> Metrics:
    """The scores of `logits` [N, K] against `labels` [N]."""
    count, classes = logits.shape
    right = logits.argmax(1) == labels
    images = torch.bincount(labels, minlength=classes).tolist()
    hits = torch.bincount(labels[right], minlength=classes).tolist()
    recall = tuple(hit / all_ if all_ else None for hit, all_ in zip(hits, images, strict=True))
    present = [value for value in recall if value is not None]
    top5 = None
    if classes >= 10:
        top5 = (logits.topk(5).indices == labels[:, None]).any(1).sum().item() / count
    return Metrics(
        accuracy=right.sum().item() / count,
        balanced_accuracy=sum(present) / len(present),
        top5=top5,
        loss=F.cross_entropy(logits, labels).item(),
        recall=recall,
        images=count,
    )
