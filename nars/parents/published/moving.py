"""Moves the tensors of another library's network into the names of `nars.build`.

Layers are paired in the order of the forward pass, in which every library of the family lists them, and
every shape is compared, so a file of another network is refused.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from nars.errors import WeightsError
from nars.networks.build import build
from nars.spec import Architecture

__all__ = ["moved"]

_COUNTER = "num_batches_tracked"
"""A tensor of batch norms that old files lack."""


def moved(
    architecture: Architecture, num_classes: int, state: Mapping[str, Tensor], source: str
) -> dict[str, Tensor]:
    """The tensors of `state` by the names of ``nars.build(architecture, num_classes)``.

    Squeeze-and-excitation that is narrower than ours gets zeros, which changes no output. Raises
    `WeightsError` that names the first tensor that does not fit.
    """
    with torch.device("meta"):
        own = build(architecture, num_classes).state_dict()
    layers, others = _layers(own), _layers(state)
    if len(layers) != len(others):
        counts = f"{len(others)} layers with tensors, {architecture.name} has {len(layers)}"
        raise WeightsError(f"{source}: has {counts}")
    tensors: dict[str, Tensor] = {}
    for (name, leaves), (original, theirs) in zip(layers.items(), others.items(), strict=True):
        for leaf, target in leaves.items():
            if leaf not in theirs and leaf != _COUNTER:
                raise WeightsError(f"{source}: {original} has no {leaf}, which {name} has")
            tensor = theirs.get(leaf, torch.zeros((), dtype=torch.long))
            tensors[f"{name}.{leaf}"] = _fitted(
                tensor, target, f"{source}: {original}.{leaf}", ".se." in name
            )
        extra = next((leaf for leaf in theirs if leaf not in leaves), None)
        if extra is not None:
            raise WeightsError(f"{source}: {original} has a {extra}, which {name} has not")
    return tensors


def _layers(state: Mapping[str, Tensor]) -> dict[str, dict[str, Tensor]]:
    """The tensors of every layer, in the order of the state."""
    layers: dict[str, dict[str, Tensor]] = {}
    for key, tensor in state.items():
        layer, _, leaf = key.rpartition(".")
        layers.setdefault(layer, {})[leaf] = tensor
    return layers


def _fitted(tensor: Tensor, target: Tensor, title: str, may_pad: bool) -> Tensor:
    """The tensor in the target's shape, which its type keeps. Raises `WeightsError`."""
    wanted = tuple(target.shape)
    if tensor.dim() == 2 and len(wanted) == 4:  # a linear layer as a 1x1 convolution
        tensor = tensor[:, :, None, None]
    given = tuple(tensor.shape)
    if may_pad and len(given) == len(wanted) and all(map(int.__le__, given, wanted)):
        padded = tensor.new_zeros(wanted)
        padded[tuple(map(slice, given))] = tensor
        return padded
    if given != wanted:
        raise WeightsError(f"{title} has shape {given}, expected {wanted}")
    return tensor
