"""The weights that a full training begins with: random, inherited from a parent, or all of a file's."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Self

import torch
from torch import nn

from nars.data import ImageData
from nars.networks.exact import load_exactly
from nars.networks.weights import Weights, load_weights
from nars.parents.choice import check_inherits
from nars.parents.parent import Parent
from nars.parents.sources import parent
from nars.parents.start import as_seen_by, judged, start, teacher_of
from nars.spec import Architecture
from nars.tensors import fingerprint
from nars.training.teacher import Teacher

__all__ = ["Beginning"]


@dataclass(frozen=True, eq=False)
class Beginning:
    """At most one of a parent and a file; without either the weights are random."""

    parent: Parent | None = None
    """Its weights are inherited as far as they fit."""
    weights: Weights | None = None
    """All of them are loaded, unchanged."""

    @classmethod
    def of(cls, init: str, weights: Path | None) -> Self:
        """Read the parent called `init` (``none`` for none), or the file `weights`.

        Raises `UsageError`, `WeightsError`, `RunError`.
        """
        assert init == "none" or weights is None, (init, weights)
        return cls(parent(init), None if weights is None else load_weights(weights))

    @property
    def is_random(self) -> bool:
        """Whether the weights are random."""
        return self.parent is None and self.weights is None

    def check_inherits(self, architecture: Architecture) -> None:
        """Raise `WeightsError`, with the remedy, if this architecture cannot inherit from the parent."""
        if self.parent is not None:
            check_inherits(architecture, self.parent)

    @property
    def fingerprint(self) -> str | None:
        """Digest of the weights, for the identity of a checkpoint; None for random ones."""
        if self.weights is not None:
            trained = self.weights
            return fingerprint(trained.state, trained.mean, trained.std, trained.classes)
        return None if self.parent is None else self.parent.fingerprint

    def as_seen(self, data: ImageData) -> ImageData:
        """The same data, normalized as those that the weights were trained on."""
        if self.weights is not None:
            return data.normalized(torch.tensor(self.weights.mean), torch.tensor(self.weights.std))
        return data if self.parent is None else as_seen_by(self.parent, data)

    def teacher(self, classes: tuple[str, ...], device: torch.device) -> Teacher | None:
        """The parent as a teacher on `device`; None without one that tells apart the same classes."""
        return teacher_of(self.parent, classes, device)

    def begin(
        self, model: nn.Module, architecture: Architecture, data: ImageData, device: torch.device
    ) -> str | None:
        """Give a fresh classifier its weights, in place, and say so in one line; None for random ones.

        `data` are as `as_seen` returns them. Raises `WeightsError`.
        """
        if self.weights is not None:
            load_exactly(model, architecture, data.classes, self.weights)
            return f"starting from the weights in {self.weights.source}"
        if self.parent is None:
            return None
        origin = judged(self.parent, architecture, data, device)
        inherited = start(model, architecture, origin, data, device)
        return f"inherited {inherited.share:.1%} of the parameters from {self.parent.source}"
