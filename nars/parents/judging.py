"""How much each channel of a parent matters, measured on 256 training images.

- A channel of a residual stream counts by how much the loss would change without it: to first order, the
  sum over its map of value times gradient, squared, summed over images. Source: Molchanov et al.,
  "Importance Estimation for Neural Network Pruning" (CVPR 2019), section 3.1.
- Hidden channels of a block are removed one by one, each time the one whose removal changes the block's
  output least; the later a channel is removed, the more important it is. So one of two redundant channels
  stays. Source: Luo et al., "ThiNet" (ICCV 2017), section 3.2.

In both, values count from their mean, because recalibrated norms make up for what a channel adds to all
images alike. `experiments.importance` compares these with other criteria.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from nars.data import ImageData, evenly, normalise
from nars.device import kernels_for
from nars.parents.alignment import Site, sites
from nars.parents.importance import hidden_name, output_name
from nars.parents.parent import Parent, network_of

__all__ = ["observed", "order_left_out", "with_importance"]

_IMAGES, _BATCH = 256, 16
"""Training images that channels are judged on, and how many at a time."""

_MOST_SIDE = 128
"""Largest side in pixels of these images; a parent of a higher resolution is judged at this one."""


def with_importance(parent: Parent, data: ImageData, device: torch.device) -> Parent:
    """The parent with the importance of its channels for what it does on 256 training images.

    `data` are normalized as the parent's. Their labels count if the classes are the parent's; else its
    own answers take their place.
    """
    written: dict[str, _Written] = {}
    hidden: dict[str, _Hidden] = {}
    every = [site for stage in sites(parent.architecture) for site in stage]
    for batch in observed(parent, data, device):
        for site in every:
            written.setdefault(output_name(site), _Written()).add(*batch[output_name(site)])
            if site.row.op != "conv":
                hidden.setdefault(hidden_name(site), _Hidden()).add(batch[hidden_name(site)][0])
    importance = {name: found.importance().cpu() for name, found in written.items()}
    for site in every:
        if site.row.op != "conv":
            weight = _projection(parent, site).double()
            covariance = hidden[hidden_name(site)].covariance().cpu()
            importance[hidden_name(site)] = order_left_out(covariance * (weight.T @ weight))
    return replace(parent, importance=importance)


class _Written:
    """Collects the change of every image's loss without each channel, to first order."""

    def __init__(self) -> None:
        self.changes: list[Tensor] = []  # [N, C] of each batch, as the others
        self.slopes: list[Tensor] = []
        self.means: list[Tensor] = []

    def add(self, values: Tensor, gradients: Tensor) -> None:
        self.changes.append((values * gradients).sum(dim=(2, 3)))
        self.slopes.append(gradients.sum(dim=(2, 3)))
        self.means.append(values.mean(dim=(2, 3)))

    def importance(self) -> Tensor:
        mean = torch.cat(self.means).mean(dim=0)
        return (torch.cat(self.changes) - torch.cat(self.slopes) * mean).square().sum(dim=0)


class _Hidden:
    """Collects the covariance of the values of channels."""

    def __init__(self) -> None:
        self.total: Tensor | float = 0.0  # [C]
        self.products: Tensor | float = 0.0  # [C, C]
        self.pixels = 0

    def add(self, values: Tensor) -> None:
        flat = values.transpose(0, 1).flatten(1)
        self.total = self.total + flat.sum(dim=1).double()
        self.products = self.products + (flat @ flat.T).double()
        self.pixels += flat.shape[1]

    def covariance(self) -> Tensor:
        mean = torch.as_tensor(self.total) / self.pixels
        return torch.as_tensor(self.products) / self.pixels - torch.outer(mean, mean)


def order_left_out(gram: Tensor) -> Tensor:
    """The step [C] at which each channel is removed, if each removal changes the sum least.

    `gram` [C, C] holds the inner products of what the channels add to the sum.
    """
    own, shared = gram.diagonal().clone(), torch.zeros(len(gram), dtype=gram.dtype)
    steps = torch.zeros(len(gram))
    for step in range(len(gram)):
        least = int((own + 2 * shared).argmin())
        steps[least] = step
        shared += gram[least]
        own[least] = torch.inf
    return steps


def _projection(parent: Parent, site: Site) -> Tensor:
    """The weights [channels, hidden] with which a block reads its hidden channels, scaled by the norm."""
    if site.row.op == "mbpool":
        return parent.state[f"{site.name}.project.weight"].flatten(1).cpu()
    prefix = f"{site.name}.layers.project"
    weight = parent.state[f"{prefix}.0.weight"].flatten(1).cpu()
    if f"{prefix}.1.running_var" not in parent.state:
        return weight
    deviation = (parent.state[f"{prefix}.1.running_var"] + parent.architecture.norm_eps).sqrt()
    return weight * (parent.state[f"{prefix}.1.weight"] / deviation).cpu()[:, None]


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
    numbers = evenly(len(data.train), _IMAGES).split(_BATCH)
    resolution = min(parent.architecture.resolution, _MOST_SIDE)
    for images, labels in data.train.batches(resolution, device, numbers):
        with kernels_for(_IMAGES * resolution**2):
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
