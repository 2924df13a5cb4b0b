"""The cost of a forward pass, for one architecture or for many at once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["Cost", "Costs"]

Ints = NDArray[np.int64]


@dataclass(frozen=True)
class Cost:
    """The cost of one forward pass of one image."""

    macs: int = 0
    """Multiply-accumulates of convolutions and linear layers."""
    params: int = 0
    """All learnable parameters."""
    published_flops: int = 0
    """MACs of convolutions plus the input elements of average pools."""
    published_params: int = 0
    """Weights of convolutions, without biases and norms."""

    def __add__(self, other: Cost) -> Cost:
        return Cost(
            self.macs + other.macs,
            self.params + other.params,
            self.published_flops + other.published_flops,
            self.published_params + other.published_params,
        )


@dataclass(frozen=True, eq=False)
class Costs:
    """The `Cost` of n architectures at once: arrays [n], or [rows, n] before `summed`."""

    macs: Ints
    params: Ints
    published_flops: Ints
    published_params: Ints

    def __add__(self, other: Costs) -> Costs:
        return Costs(
            self.macs + other.macs,
            self.params + other.params,
            self.published_flops + other.published_flops,
            self.published_params + other.published_params,
        )

    def at(self, index: int) -> Cost:
        """The cost of one architecture."""
        return Cost(
            int(self.macs[index]),
            int(self.params[index]),
            int(self.published_flops[index]),
            int(self.published_params[index]),
        )

    def summed(self, repeats: Ints) -> Costs:
        """The costs [n] of all rows together, each counted `repeats` times [rows, n]."""
        return Costs(
            (self.macs * repeats).sum(axis=0),
            (self.params * repeats).sum(axis=0),
            (self.published_flops * repeats).sum(axis=0),
            (self.published_params * repeats).sum(axis=0),
        )

    @classmethod
    def joined(cls, parts: Sequence[Costs]) -> Costs:
        """The costs of several groups of architectures, one group after the other."""
        return cls(
            np.concatenate([part.macs for part in parts]),
            np.concatenate([part.params for part in parts]),
            np.concatenate([part.published_flops for part in parts]),
            np.concatenate([part.published_params for part in parts]),
        )
