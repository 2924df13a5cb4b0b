"""How much of what its parent knows a network keeps before it is trained.

A candidate that has inherited classifies 256 training images, and its logits and features are compared with
its parent's and with the labels. That costs a forward pass. `experiments.inheritance_statistic` tests which
of these numbers rank candidates as their trainings do.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from nars.data import ImageData, evenly, normalise
from nars.device import half_precision, kernels_for
from nars.parents.parent import Parent, network_of
from nars.training.evaluation import moments

__all__ = ["Answers", "Kept", "answers", "answers_of", "echo", "kept"]

_IMAGES = 256
"""Training images that networks classify."""

_RIDGE = 1.0
"""Penalty of the probes, relative to the mean square of the centred features of an image."""


@dataclass(frozen=True, eq=False)
class Answers:
    """The answers of a network to the same training images."""

    logits: Tensor
    """[N, K]."""
    features: Tensor
    """Inputs of its classifier [N, F]."""
    labels: Tensor
    """Classes [N] of the images."""


@dataclass(frozen=True)
class Kept:
    """How much of its parent a network keeps; of `loss` and `divergence` less is better, else more.

    `accuracy`, `loss` and `divergence` depend on its classifier, and mean little unless that is inherited.
    """

    accuracy: float
    """Share of the images that it classifies correctly, 0..1."""
    loss: float
    """Mean cross entropy, nats."""
    divergence: float
    """Mean Kullback-Leibler divergence of its classes from the parent's, nats."""
    probe: float
    """Share of the labels' variance that ridge regression on its features explains for left-out images."""
    echo: float
    """The same for the parent's logits."""
    similarity: float
    """Linear CKA of its features with the parent's, 0..1. Source: Kornblith et al., "Similarity of Neural
    Network Representations Revisited" (ICML 2019), section 3."""


def answers_of(parent: Parent, data: ImageData, device: torch.device) -> Answers:
    """The answers of a parent at its resolution; `data` are normalized as the parent's."""
    model = network_of(parent).to(device)
    return answers(model, data, resolution=parent.architecture.resolution, device=device)


@torch.inference_mode()
def answers(model: nn.Module, data: ImageData, *, resolution: int, device: torch.device) -> Answers:
    """The answers of a classifier of `nars.build`, which is on `device`, to 256 training images."""
    seen: list[Tensor] = []

    def keep(module: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        seen.append(inputs[0].flatten(1))

    hook = model.get_submodule("head.classifier").register_forward_pre_hook(keep)
    numbers = evenly(len(data.train), _IMAGES)
    (mean, std), half = moments(model, data, device), half_precision(device)
    was_training = model.training
    model.eval()
    logits, labels = [], []
    for images, targets in data.train.batches(resolution, device, [numbers]):
        with (
            kernels_for(len(images) * resolution**2),
            torch.autocast(device.type, dtype=half, enabled=half is not None),
        ):
            logits.append(model(normalise(images, mean, std)))
        labels.append(targets)
    model.train(was_training)
    hook.remove()
    return Answers(torch.cat(logits).float(), torch.cat(seen).float(), torch.cat(labels))


def kept(child: Answers, parent: Answers) -> Kept:
    """Compare the answers of a network with those of its parent to the same images."""
    accuracy, loss, divergence = float("nan"), float("nan"), float("nan")
    if child.logits.shape == parent.logits.shape:
        accuracy = (child.logits.argmax(dim=1) == child.labels).double().mean().item()
        loss = F.cross_entropy(child.logits, child.labels).item()
        own, target = (answer.logits.log_softmax(dim=1) for answer in (child, parent))
        divergence = F.kl_div(own, target, reduction="batchmean", log_target=True).item()
    return Kept(
        accuracy=accuracy,
        loss=loss,
        divergence=divergence,
        probe=_explained(child.features, F.one_hot(child.labels).double()),
        echo=echo(child, parent),
        similarity=_cka(child.features, parent.features),
    )


def echo(child: Answers, parent: Answers) -> float:
    """The `Kept.echo` of a network, at most 1."""
    return _explained(child.features, parent.logits.double())


def _explained(features: Tensor, targets: Tensor) -> float:
    """The share of the variance of `targets` [N, K] that `features` [N, F] explain for left-out images.

    The residual of a left-out image is that of all images over 1 minus its own weight. Source: Hastie et al.,
    "The Elements of Statistical Learning" (2009), equation 7.52.
    """
    gram = _gram(features)
    count = len(gram)
    ridge = _RIDGE * gram.diagonal().mean().clamp_min(1e-12)
    smoother = torch.linalg.solve(gram + ridge * torch.eye(count, dtype=gram.dtype, device=gram.device), gram)
    smoother += 1 / count  # the mean, which is not penalized
    residual = (targets - smoother @ targets) / (1 - smoother.diagonal())[:, None]
    centred = targets - targets.mean(dim=0)
    return 1 - float(residual.square().sum() / centred.square().sum())


def _cka(first: Tensor, second: Tensor) -> float:
    one, two = _gram(first), _gram(second)
    return float((one * two).sum() / (one.norm() * two.norm()).clamp_min(1e-12))


def _gram(features: Tensor) -> Tensor:
    """The inner products [N, N] of centred features [N, F]."""
    centred = features.double()
    centred = centred - centred.mean(dim=0)
    return centred @ centred.T
