"""A parent: a trained network that candidates inherit from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from torch import Tensor, nn

from nars.networks.build import build
from nars.networks.weights import load_into
from nars.spec import Architecture

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

    def network(self) -> nn.Module:
        """The parent itself, in evaluation mode. Raises `WeightsError` if its tensors do not fit."""
        model = build(self.architecture, len(self.classes))
        load_into(model, self.state, self.source)
        return model.eval()
