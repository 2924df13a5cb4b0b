"""The input and output of an exported classifier, stated so that nobody has to know its training."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import Tensor, nn

from nars.data.pictures import PAD

__all__ = ["RESIZING", "Contract", "Deployed"]

RESIZING: Mapping[str, str] = {
    "crop": "the middle square, resized bilinearly with antialiasing",
    "squash": "the whole image, resized bilinearly with antialiasing, without keeping its proportions",
    "letterbox": "the whole image, resized bilinearly with antialiasing, in the middle of a square of grey "
    f"level {PAD[0]} of 255",
}
"""How each kind of `fit` of a recipe makes a square of an image."""

_SHOWN = 6
"""Classes that a line names."""


@dataclass(frozen=True)
class Contract:
    """The input and output of a file: images [N, channels, side, side] in 0..1 to logits [N, K]."""

    side: int
    channels: int
    """3 for RGB, 1 for grey."""
    mean: tuple[float, ...]
    """Mean per channel in 0..1, which the file subtracts."""
    std: tuple[float, ...]
    """Standard deviation per channel, by which the file divides."""
    fit: str
    """How an image becomes a square."""
    classes: tuple[str, ...]
    """Names in the order of the logits; empty for random weights."""
    is_trained: bool
    """Whether the weights come from a training, and not from a random draw."""

    @property
    def colours(self) -> str:
        """The channels in words."""
        return {3: "RGB", 1: "grey"}.get(self.channels, f"{self.channels} channels")

    @property
    def line(self) -> str:
        """The contract for a terminal."""
        shape = f"float32 [N, {self.channels}, {self.side}, {self.side}], {self.colours} in 0..1"
        names = ", ".join(self.classes[:_SHOWN]) + (", ..." if len(self.classes) > _SHOWN else "")
        logits = f"logits [N, {len(self.classes)}] of {names}" if self.classes else "logits"
        return f"takes images: {shape}, normalization inside ({RESIZING[self.fit]}); gives {logits}"

    @property
    def metadata(self) -> dict[str, str]:
        """Entries of a file's description; nothing is left to be normalized outside."""
        outside = {"mean": [0.0] * self.channels, "std": [1.0] * self.channels}
        inside = {"mean": self.mean, "std": self.std}
        return {
            "contract.json": json.dumps(self.to_dict()),
            "normalisation.json": json.dumps({**outside, "inside": inside, "fit": self.fit}),
            "weights": "trained" if self.is_trained else "random: only the shape means something",
        }

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON, with the input and the output in words."""
        return asdict(self) | {
            "input": f"images: float32 [N, C, H, W], {self.colours}, in 0..1, not normalized",
            "resizing": RESIZING[self.fit],
            "output": "logits: float32 [N, classes]; softmax gives probabilities",
        }


class Deployed(nn.Module):
    """A classifier of images [N, C, side, side] in 0..1; normalization is included."""

    mean: Tensor
    std: Tensor

    def __init__(self, network: nn.Module, contract: Contract) -> None:
        super().__init__()
        self.network = network.eval()
        self.register_buffer("mean", torch.tensor(contract.mean)[:, None, None])
        self.register_buffer("std", torch.tensor(contract.std)[:, None, None])

    def forward(self, images: Tensor) -> Tensor:
        logits: Tensor = self.network((images - self.mean) / self.std)
        return logits
