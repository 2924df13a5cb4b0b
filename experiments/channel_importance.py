"""Ways to judge how much the channels of a parent matter, which `experiments.importance` compares."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial

import torch
from torch import Tensor

from experiments.sliced import CPU
from nars.data import ImageData
from nars.parents.alignment import Site, sites
from nars.parents.importance import hidden_name, output_name
from nars.parents.judging import observed, order_left_out
from nars.parents.parent import Parent

__all__ = ["WAYS", "Evidence", "gathered"]

Importance = Mapping[str, Tensor]
"""Importance [C] by the names of `Parent.importance`."""


@dataclass
class Evidence:
    """Sums over 256 training images for the channels of one name."""

    products: list[Tensor] = field(default_factory=list)
    """Value times gradient, summed over the map, [N, C] of each batch."""
    gradients: list[Tensor] = field(default_factory=list)
    """Gradients, summed over the map, likewise."""
    total: Tensor | float = 0.0
    """Sum [C] of the values."""
    squares: Tensor | float = 0.0
    """Sum [C, C] of the products of two channels' values."""
    pixels: int = 0

    def add(self, values: Tensor, gradients: Tensor) -> None:
        self.products.append((values * gradients).sum(dim=(2, 3)))
        self.gradients.append(gradients.sum(dim=(2, 3)))
        flat = values.transpose(0, 1).flatten(1).double()
        self.total = self.total + flat.sum(dim=1)
        self.squares = self.squares + flat @ flat.T
        self.pixels += flat.shape[1]

    @property
    def mean(self) -> Tensor:
        return torch.as_tensor(self.total) / self.pixels

    @property
    def covariance(self) -> Tensor:
        return torch.as_tensor(self.squares) / self.pixels - torch.outer(self.mean, self.mean)

    @property
    def power(self) -> Tensor:
        """Mean square [C] of the values."""
        return torch.as_tensor(self.squares).diagonal() / self.pixels


def gathered(parent: Parent, data: ImageData) -> dict[str, Evidence]:
    """The evidence of every name."""
    evidence: dict[str, Evidence] = {}
    for passed in observed(parent, data, CPU):
        for name, values, gradients in passed:
            evidence.setdefault(name, Evidence()).add(values, gradients)
    return evidence


def _taylor(
    parent: Parent, evidence: Mapping[str, Evidence], seed: int, power: int, centred: bool
) -> Importance:
    scores = {}
    for name, known in evidence.items():
        change = torch.cat(known.products)
        if centred:  # a norm that is recalibrated takes the mean away
            change = change - known.mean.float() * torch.cat(known.gradients)
        scores[name] = change.abs().pow(power).sum(dim=0)
    return scores


def _added(parent: Parent, evidence: Mapping[str, Evidence], seed: int, centred: bool) -> Importance:
    """The size (or deviation) of what a channel adds to the layers that read it."""
    scores = {}
    for name, weight in _reading(parent).items():
        known = evidence[name]
        power = known.covariance.diagonal() if centred else known.power
        scores[name] = power.clamp_min(0).sqrt() * weight.double().norm(dim=0)
    return scores


def _group_norms(parent: Parent, evidence: Mapping[str, Evidence], seed: int) -> Importance:
    """The squares of all weights that go with a channel: those that write it and those that read it."""
    scores = {}
    reading = _reading(parent, scaled=False)
    for site in _sites(parent):
        written = parent.state[f"{_writer(site)}.weight"].flatten(1).square().sum(dim=1)
        scores[output_name(site)] = written + reading[output_name(site)].square().sum(dim=0)
        if site.row.op == "mbconv":
            columns = reading[hidden_name(site)].square().sum(dim=0)
            for layer in ("expand", "depthwise"):
                weight = parent.state.get(f"{site.name}.layers.{layer}.0.weight")
                columns = columns if weight is None else columns + weight.flatten(1).square().sum(dim=1)
            scores[hidden_name(site)] = columns
    return scores


def _greedy(parent: Parent, evidence: Mapping[str, Evidence], seed: int) -> Importance:
    """Leave hidden channels out one by one, each time the one that changes the output of its block least."""
    scores = dict(_taylor(parent, evidence, seed, 2, centred=True))
    for site in _sites(parent):
        if site.row.op == "mbconv":
            name = hidden_name(site)
            weight = _reading(parent)[name].double()
            scores[name] = order_left_out(evidence[name].covariance * (weight.T @ weight))
    return scores


def _random(parent: Parent, evidence: Mapping[str, Evidence], seed: int) -> Importance:
    generator = torch.Generator().manual_seed(seed)
    return {name: torch.rand(len(known.mean), generator=generator) for name, known in evidence.items()}


def _norms(parent: Parent, evidence: Mapping[str, Evidence], seed: int) -> Importance:
    return {}


Way = Callable[[Parent, Mapping[str, Evidence], int], Importance]
"""A way to judge, given a seed that only the random one needs."""

WAYS: dict[str, Way] = {
    "norms": _norms,
    "group norms": _group_norms,
    "size": partial(_added, centred=False),
    "deviation": partial(_added, centred=True),
    "taylor": partial(_taylor, power=2, centred=False),
    "taylor, absolute": partial(_taylor, power=1, centred=False),
    "taylor, centred": partial(_taylor, power=2, centred=True),
    "greedy": _greedy,
    "random": _random,
}
"""Name -> way to judge."""


def _sites(parent: Parent) -> list[Site]:
    return [site for stage in sites(parent.architecture) for site in stage]


def _writer(site: Site) -> str:
    """The convolution that writes the output of a block."""
    if site.row.op == "mbconv":
        return f"{site.name}.layers.project.0"
    return f"{site.name}.0" if site.row.op == "conv" else f"{site.name}.project"


def _reading(parent: Parent, scaled: bool = True) -> dict[str, Tensor]:
    """The weights [out, C] that read the channels of every name, if `scaled` with the norm after them."""
    reading = {}
    every = _sites(parent)
    for site, after in zip(every, [*every[1:], None], strict=True):
        if site.row.op == "mbconv":
            reading[hidden_name(site)] = _weight(parent, f"{site.name}.layers.project", scaled)
        if after is None:
            reading[output_name(site)] = parent.state["head.classifier.weight"].flatten(1)
        elif after.row.op == "conv":
            reading[output_name(site)] = _weight(parent, after.name, scaled)
        elif f"{after.name}.layers.expand.0.weight" in parent.state:
            reading[output_name(site)] = _weight(parent, f"{after.name}.layers.expand", scaled)
        else:  # a depthwise convolution reads every channel alone
            weight = _weight(parent, f"{after.name}.layers.depthwise", scaled)
            reading[output_name(site)] = weight.norm(dim=1)[None]
    return reading


def _weight(parent: Parent, prefix: str, scaled: bool) -> Tensor:
    state = parent.state
    weight = state[f"{prefix}.0.weight"].flatten(2)  # [out, C, taps]
    norms = weight.norm(dim=2)
    weight = weight[:, :, 0] if weight.shape[2] == 1 else norms
    if scaled:
        variance = state[f"{prefix}.1.running_var"] + parent.architecture.norm_eps
        weight = weight * (state[f"{prefix}.1.weight"] / variance.sqrt())[:, None]
    return weight
