"""How much each channel of a parent matters, measured on images: a first-order Taylor expansion.

Without a channel, the loss of an image changes by about the sum over its map of value times gradient. A
channel counts by the square of that, summed over 256 training images. Source: Molchanov et al.,
"Importance Estimation for Neural Network Pruning" (CVPR 2019), section 3.1. Unlike there, values count from
their mean, because recalibrated norms make up for what a channel adds to all pixels alike.
`experiments.importance` compares this with other ways.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from nars.data import ImageData, normalise
from nars.parents.alignment import Site, sites
from nars.parents.importance import hidden_name, output_name
from nars.parents.parent import Parent, network_of

__all__ = ["observed", "with_importance"]

_IMAGES, _BATCH = 256, 32
"""Training images that channels are judged on, and how many at a time."""

_MOST_SIDE = 128
"""Largest side in pixels of these images; a parent of a higher resolution is judged at this one."""


def with_importance(parent: Parent, data: ImageData, device: torch.device) -> Parent:
    """The parent with the importance of its channels for its loss on 256 training images.

    `data` are normalized as the parent's. Their labels count if the classes are the parent's; else its
    own answers take their place.
    """
    changes: dict[str, list[Tensor]] = {}
    slopes: dict[str, list[Tensor]] = {}
    means: dict[str, list[Tensor]] = {}
    for batch in observed(parent, data, device):
        for name, (values, gradients) in batch.items():
            changes.setdefault(name, []).append((values * gradients).sum(dim=(2, 3)))  # [N, C]
            slopes.setdefault(name, []).append(gradients.sum(dim=(2, 3)))
            means.setdefault(name, []).append(values.mean(dim=(2, 3)))
    importance = {}
    for name in changes:
        change, slope, mean = (torch.cat(parts[name]) for parts in (changes, slopes, means))
        importance[name] = (change - slope * mean.mean(dim=0)).square().sum(dim=0).cpu()
    return replace(parent, importance=importance)


def observed(
    parent: Parent, data: ImageData, device: torch.device
) -> Iterator[dict[str, tuple[Tensor, Tensor]]]:
    """Values [N, C, H, W] and gradients of each image's loss, for batches of the 256 training images.

    Their names are those of `nars.parents.importance`: hidden channels as the projection reads them, and
    what a block leaves in its stream.
    """
    model = network_of(parent).to(device).eval()
    seen: dict[str, Tensor] = {}
    for site in (site for stage in sites(parent.architecture) for site in stage):
        _watch(model, site, seen)
    mean, std = data.mean.to(device), data.std.to(device)
    numbers = torch.linspace(0, len(data.train) - 1, min(len(data.train), _IMAGES)).long().split(_BATCH)
    resolution = min(parent.architecture.resolution, _MOST_SIDE)
    for images, labels in data.train.batches(resolution, device, numbers):
        logits = model(normalise(images, mean, std))
        targets = labels if data.classes == parent.classes else logits.argmax(dim=1)
        loss = F.cross_entropy(logits, targets, reduction="sum")
        gradients = torch.autograd.grad(loss, list(seen.values()))
        yield {
            name: (values.detach(), gradient)
            for (name, values), gradient in zip(seen.items(), gradients, strict=True)
        }
        seen.clear()


def _watch(model: nn.Module, site: Site, seen: dict[str, Tensor]) -> None:
    """Have every forward pass leave the values of a block in `seen`."""
    block = model.get_submodule(site.name)

    def keep_output(module: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
        seen[output_name(site)] = output

    def keep_input(module: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        seen[hidden_name(site)] = inputs[0]

    block.register_forward_hook(keep_output)
    if site.row.op != "conv":
        project = "layers.project" if site.row.op == "mbconv" else "project"
        block.get_submodule(project).register_forward_pre_hook(keep_input)
