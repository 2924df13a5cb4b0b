"""A parent: a trained network that candidates inherit from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

from torch import Tensor

from nars.spec import Architecture
from nars.tensors import fingerprint

__all__ = ["Parent"]


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

    @cached_property
    def fingerprint(self) -> str:
        """Digest of its tensors, its classes and the pixels it takes; equal parents have equal ones."""
        return fingerprint(self.state, self.mean, self.std, self.classes)
