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

import itertools
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from nars.data import ImageData, evenly, normalise
from nars.device import kernels_for
from nars.parents.alignment import Site, sites
from nars.parents.importance import hidden_name, output_name
from nars.parents.parent import Parent, network_of
from nars.training.evaluation import moments

__all__ = ["Observer", "Passed", "importance", "observed", "order_left_out", "with_importance"]

Passed = Sequence[tuple[str, Tensor, Tensor]]
"""Names of `nars.parents.importance`, values [N, C, H, W] that passed through a network, and gradients of the
loss: N images, or regions of images."""

_IMAGES, _BATCH = 256, 16
"""Training images that channels are judged on, and how many at a time."""

_MOST_SIDE = 128
"""Largest side in pixels of these images; a parent of a higher resolution is judged at this one."""


def with_importance(parent: Parent, data: ImageData, device: torch.device) -> Parent:
    """The parent with the importance of its channels for what it does on 256 training images.

    `data` are normalized as the parent's. Their labels count if the classes are the parent's; else its
    own answers take their place.
    """
    every = [site for stage in sites(parent.architecture) for site in stage]
    batches = observed(parent, data, device)
    return replace(parent, importance=importance(every, parent.state, parent.architecture.norm_eps, batches))


def importance(
    blocks: Sequence[Site], state: Mapping[str, Tensor], norm_eps: float, batches: Iterable[Passed]
) -> dict[str, Tensor]:
    """The importance of the channels of `blocks`, by the names of `nars.parents.importance`.

    `state` are the tensors of their network, `batches` what passed through it; `norm_eps` is added to the
    variances of its norms. Blocks through which nothing passed are left out.
    """
    written: dict[str, _Written] = defaultdict(_Written)
    hidden: dict[str, _Hidden] = defaultdict(_Hidden)
    named = {hidden_name(site) for site in blocks}
    for name, values, gradients in itertools.chain.from_iterable(batches):
        if name in named:
            hidden[name].add(values)
        else:
            written[name].add(values, gradients)
    found = {name: each.importance().cpu() for name, each in written.items()}
    for site in blocks:
        if hidden_name(site) in hidden:
            weight = _projection(state, norm_eps, site).double()
            covariance = hidden[hidden_name(site)].covariance().cpu()
            found[hidden_name(site)] = order_left_out(covariance * (weight.T @ weight))
    return found


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


def _projection(state: Mapping[str, Tensor], norm_eps: float, site: Site) -> Tensor:
    """The weights [channels, hidden] with which a block reads its hidden channels, scaled by the norm."""
    if site.row.op == "mbpool":
        return state[f"{site.name}.project.weight"].flatten(1).cpu()
    prefix = f"{site.name}.layers.project"
    weight = state[f"{prefix}.0.weight"].flatten(1).cpu()
    if f"{prefix}.1.running_var" not in state:
        return weight
    deviation = (state[f"{prefix}.1.running_var"] + norm_eps).sqrt()
    return weight * (state[f"{prefix}.1.weight"] / deviation).cpu()[:, None]


def observed(parent: Parent, data: ImageData, device: torch.device) -> Iterator[Passed]:
    """Pass 256 training images through a parent; gradients are of each image's loss."""
    model = network_of(parent).to(device).eval()
    observer = Observer(model, [site for stage in sites(parent.architecture) for site in stage])
    mean, std = moments(model, data, device)
    numbers = evenly(len(data.train), _IMAGES).split(_BATCH)
    resolution = min(parent.architecture.resolution, _MOST_SIDE)
    for images, labels in data.train.batches(resolution, device, numbers):
        with kernels_for(_IMAGES * resolution**2):
            logits = model(normalise(images, mean, std))
            targets = labels if data.classes == parent.classes else logits.argmax(dim=1)
            yield observer.passed(F.cross_entropy(logits, targets, reduction="sum"))


class Observer:
    """Has every forward pass of a network leave the values of some of its blocks.

    They are hidden channels as the projection reads them, and what a block leaves in its stream.
    """

    def __init__(self, model: nn.Module, blocks: Iterable[Site]) -> None:
        self._seen: list[tuple[str, Tensor]] = []
        for site in blocks:
            self._watch(model.get_submodule(site.name), site)

    def passed(self, loss: Tensor) -> Passed:
        """The values since the last call, with the gradients of a loss that depends on them."""
        seen, self._seen[:] = list(self._seen), []
        gradients = torch.autograd.grad(loss, [values for _, values in seen])
        return [
            (name, values.detach(), gradient)
            for (name, values), gradient in zip(seen, gradients, strict=True)
        ]

    def _watch(self, block: nn.Module, site: Site) -> None:
        def keep_output(module: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
            self._seen.append((output_name(site), output))

        def keep_input(module: nn.Module, inputs: tuple[Tensor, ...]) -> None:
            self._seen.append((hidden_name(site), inputs[0]))

        block.register_forward_hook(keep_output)
        if site.row.op != "conv":
            project = "layers.project" if site.row.op == "mbconv" else "project"
            block.get_submodule(project).register_forward_pre_hook(keep_input)
