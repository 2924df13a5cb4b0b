"""A parent: a trained network that candidates inherit from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Protocol

import torch
from torch import Tensor, nn

from nars.networks.build import build
from nars.spec import Architecture
from nars.tensors import fingerprint

__all__ = ["Origin", "Parent", "network_of"]


class Origin(Protocol):
    """A trained network of any task that candidates inherit from."""

    @property
    def source(self) -> str:
        """The name or file that it came from."""

    @property
    def fingerprint(self) -> str:
        """Digest of its weights and of the images that it takes."""


@dataclass(frozen=True, eq=False)
class Parent:
    """A trained classifier as plain data: what it is, its tensors, what it was trained on."""

    architecture: Architecture
    state: Mapping[str, Tensor]
    """Tensors by the names of `nars.networks.build.build`."""
    classes: tuple[str, ...]
    mean: tuple[float, ...]
    """Mean of the pixels that it takes, per channel, in 0..1; `std` likewise."""
    std: tuple[float, ...]
    source: str
    """The name or file that it came from."""
    importance: Mapping[str, Tensor] = field(default_factory=dict)
    """Measured importance of its channels, by the names of `nars.parents.importance`; those that are
    absent are judged by the norms of their weights. See `nars.parents.judging`."""

    @cached_property
    def fingerprint(self) -> str:
        """Digest of its tensors, its classes and the pixels it takes; equal parents have equal ones."""
        return fingerprint(self.state, self.mean, self.std, self.classes)


def network_of(parent: Parent) -> nn.Module:
    """The classifier that the parent is. It draws no random numbers and shares the parent's tensors."""
    with torch.device("meta"):
        model = build(parent.architecture, len(parent.classes))
    model.load_state_dict(dict(parent.state), assign=True)
    return model
