"""Measures a network, and recalibrates its batch norms before that."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from sklearn.metrics import confusion_matrix, roc_auc_score
from torch import Tensor, nn

from nars import parallel
from nars.data import ImageData, evenly, in_order, normalise
from nars.device import kernels_for, memory_errors
from nars.errors import TrialError, UsageError
from nars.training.confusion import classes_of
from nars.training.metrics import ACCURACY, Metric
from nars.training.passes import Forward

__all__ = ["Metrics", "check_metric", "evaluate", "moments", "recalibrate"]

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
    score: float
    """The metric that was asked for, by default the accuracy; NaN if the loss is not finite."""
    macro_f1: float
    """Mean F1 of the classes that are in the split or among the answers."""
    auroc: float | None
    """Area under the ROC curve: of two classes, or the mean over classes against the rest; see `evaluate`."""
    precision: tuple[float | None, ...]
    """Precision per class; None for a class that was never answered."""
    f1: tuple[float | None, ...]
    """F1 per class; None for a class that is neither in the split nor among the answers."""
    confusion: tuple[tuple[int, ...], ...]
    """Numbers of images [K, K]: a row for each class, a column for each answer."""


Labels = NDArray[np.int64]
Probabilities = NDArray[np.float64]


@torch.inference_mode()
def evaluate(
    model: nn.Module,
    data: ImageData,
    split: str,
    *,
    resolution: int,
    device: torch.device,
    metric: Metric = ACCURACY,
    auroc: bool = False,
    forward: Forward | None = None,
) -> Metrics:
    """Measure `model`, which is on `device`, on the ``train``, ``val`` or ``test`` images.

    The AUROC, which takes a while with many classes, is None unless it is the metric or `auroc` asks for it,
    and if all images are of one class. `forward` has the passes of `model`, if it is measured more than once.
    Several processes share the images, and each has the result.
    Raises `TrialMemoryError`, `DataError` for images that cannot be read, and `TrialError` for a metric that
    is no number on these images.
    """
    part = data.split(split)
    mean, std = moments(model, data, device)
    forward = forward or Forward(model, device)
    was_training = model.training
    model.eval()
    outputs, targets = [], []
    groups = parallel.own(in_order(len(part), _BATCH))
    with memory_errors(f"evaluating at {resolution} px"), kernels_for(len(part) * resolution**2):
        for images, labels in part.batches(resolution, device, groups) if groups else ():
            outputs.append(forward(normalise(images, mean, std)))
            targets.append(labels)
    model.train(was_training)
    outputs, targets = parallel.collected(outputs, device), parallel.collected(targets, device)
    logits, truth = torch.cat(outputs).float(), torch.cat(targets)
    return _scored(_metrics(logits, truth), logits, truth, metric, split, auroc=auroc)


def check_metric(metric: Metric, data: ImageData, split: str) -> None:
    """Raise `UsageError` if the metric cannot be computed on a split, before anything is trained for it.

    A function is called once, with probabilities drawn at random.
    """
    labels = data.split(split).labels.numpy().copy()  # a function may write into its arguments
    present = np.unique(labels)
    if metric.name == "auroc" and len(present) < 2:
        only = f"the {len(labels)} images of {split} are all of {data.classes[present[0]]!r}"
        raise UsageError(f"metric auroc needs two classes: {only}")
    if metric.function is not None:
        drawn = np.random.default_rng(0).random((len(labels), len(data.classes)))
        try:
            metric.score(labels, drawn / drawn.sum(1, keepdims=True), split)
        except TrialError as error:
            raise UsageError(f"{error}, when tried with probabilities drawn at random") from None


@torch.inference_mode()
def recalibrate(
    model: nn.Module,
    data: ImageData,
    *,
    resolution: int,
    device: torch.device,
    forward: Forward | None = None,
) -> None:
    """Set the statistics of batch norms to those of 256 training images with the present weights.

    `forward` has the passes of `model`, if this is done more than once.

    Running averages lag behind weights that change fast: in the first epochs of a short training
    they make a network that has learnt score like chance, and an averaged network has no
    statistics of its own. Source: "Rethinking Batch in BatchNorm" (Wu, Johnson 2021), section 3.
    Frozen norms, whose weights need no gradient, keep theirs. Several processes share the images, whose
    statistics `nars.parallel.synchronized` norms join.
    """
    norms = [module for module in model.modules() if isinstance(module, _BATCH_NORMS)]
    norms = [norm for norm in norms if norm.weight is None or norm.weight.requires_grad]
    if not norms:
        return
    numbers = parallel.share(evenly(len(data.train), _BATCH))
    mean, std = moments(model, data, device)
    forward = forward or Forward(model, device)
    momenta = [norm.momentum for norm in norms]
    was_training = model.training
    model.eval()
    for norm in norms:
        norm.train()
        norm.momentum = 1.0  # take this batch's, forget the others
    for images, _ in data.train.batches(resolution, device, [numbers]):
        with kernels_for(len(images) * resolution**2):
            forward(normalise(images, mean, std))
    for norm, momentum in zip(norms, momenta, strict=True):
        norm.momentum = momentum
    model.train(was_training)


def moments(model: nn.Module, data: ImageData, device: torch.device) -> tuple[Tensor, Tensor]:
    """Mean and deviation [C] of the training images on `device`, C being the input channels of `model`."""
    channels = getattr(model, "in_channels", 3)
    return data.mean[:channels].to(device), data.std[:channels].to(device)


def _metrics(logits: Tensor, labels: Tensor) -> Metrics:
    """The scores of `logits` [N, K] against `labels` [N], without those that need probabilities."""
    count, classes = logits.shape
    answers = logits.argmax(1)
    right = answers == labels
    truth, answered = labels.cpu().numpy(), answers.cpu().numpy()
    confusion = confusion_matrix(truth, answered, labels=range(classes)).tolist()
    each = classes_of(confusion)
    top5 = None
    if classes >= 10:
        top5 = (logits.topk(5).indices == labels[:, None]).any(1).sum().item() / count
    return Metrics(
        accuracy=right.sum().item() / count,
        balanced_accuracy=_mean(each.recall),
        macro_f1=_mean(each.f1),
        auroc=None,
        top5=top5,
        loss=F.cross_entropy(logits, labels).item(),
        recall=each.recall,
        precision=each.precision,
        f1=each.f1,
        confusion=tuple(map(tuple, confusion)),
        images=count,
        score=math.nan,
    )


def _scored(
    metrics: Metrics, logits: Tensor, labels: Tensor, metric: Metric, split: str, *, auroc: bool
) -> Metrics:
    """The metrics with their score by `metric` and, if asked for, the AUROC."""
    if not math.isfinite(metrics.loss):  # the training that led here has failed
        return metrics
    auroc = auroc or metric.name == "auroc"
    if auroc or metric.function is not None:
        truth, probabilities = labels.cpu().numpy(), logits.double().softmax(1).cpu().numpy()
        metrics = replace(metrics, auroc=_auroc(truth, probabilities) if auroc else None)
        if metric.function is not None:
            return replace(metrics, score=metric.score(truth, probabilities, split))
    score = getattr(metrics, metric.name)
    if score is None:
        raise TrialError(f"metric {metric.name} needs images of two classes in {split}")
    return replace(metrics, score=score)


def _mean(values: Sequence[float | None]) -> float:
    """Mean of the values that are defined."""
    present = [value for value in values if value is not None]
    return sum(present) / len(present)


def _auroc(labels: Labels, probabilities: Probabilities) -> float | None:
    """The area under the ROC curve of two classes, or its mean over the classes that are in the split.

    Every class is set against all others, and all classes weigh the same. None if the images are all of
    one class.
    """
    present = np.unique(labels)
    if len(present) < 2:
        return None
    classes = (1,) if probabilities.shape[1] == 2 else present
    areas = [roc_auc_score(labels == label, probabilities[:, label]) for label in classes]
    return float(np.mean(areas))
