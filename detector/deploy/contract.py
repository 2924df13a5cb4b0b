"""The input and output of an exported detector, stated so that nobody has to know its training."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Self

from detector.deploy.deployed import least_side
from detector.model.detector import Detector

__all__ = ["Contract"]

_OUTPUT = "boxes [D, 4] in pixels of the input, labels [D] of 1..K, scores [D], image [D], perhaps masks"
"""The outputs of a file in words."""


@dataclass(frozen=True)
class Contract:
    """The input and output of a file: images [B, 3, H, W] in 0..1, resized and padded, to detections."""

    shorter: int
    """Pixels of the shorter side of a resized image, as in the detector's training."""
    longer: int
    """Pixels of the longer side at most, for which the shorter one may be less."""
    multiple: int
    """Height and width are padded to multiples of this."""
    smallest: int
    """Height and width are padded to at least this."""
    padding: tuple[float, ...]
    """RGB in 0..1 of the padding, which is 0 after normalization."""
    fixed: tuple[int, int] | None
    """Height and width if the file takes no others."""
    classes: tuple[str, ...]
    """Names of the labels from 1."""
    batch: int = 1
    """Images of a batch, B; the file takes no other number."""

    @classmethod
    def of(
        cls, model: Detector, classes: Sequence[str], fixed: tuple[int, int] | None, batch: int = 1
    ) -> Self:
        """The contract of a file of `model`."""
        transform = model.transform
        mean = tuple(round(value / 255, 4) for value in transform.image_mean)
        return cls(
            shorter=max(transform.min_size),
            longer=transform.max_size,
            multiple=transform.size_divisible,
            smallest=least_side(model),
            padding=mean[::-1] if transform.bgr else mean,
            fixed=fixed,
            classes=tuple(classes),
            batch=batch,
        )

    @property
    def resizing(self) -> str:
        """The way from an image to the input, in words."""
        colour = ", ".join(f"{value:g}" for value in self.padding)
        sides = f"a shorter side of {self.shorter} pixels, less if the longer one would exceed {self.longer}"
        if self.fixed is not None:
            size = "x".join(map(str, self.fixed))
            fits = f"or the image would not fit into {size} (height x width)"
            return f"resized to {sides} {fits}, then padded to that right and below with RGB {colour}"
        least = [f"multiples of {self.multiple}"] if self.multiple > 1 else []
        least += [f"at least {self.smallest} pixels"] if self.smallest > self.multiple else []
        padded = f", then padded right and below to {' and '.join(least)} with RGB {colour}" if least else ""
        return f"resized to {sides}{padded}"

    @property
    def input(self) -> str:
        """The input in words."""
        return f"images: float32 [{self.batch}, 3, H, W], RGB in 0..1, {self.resizing}; normalization inside"

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON, with the input and the output in words."""
        return asdict(self) | {"input": self.input, "output": _OUTPUT}
