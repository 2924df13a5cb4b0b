"""Resizing and augmentation of a sample, by torchvision.transforms.v2.

A sample is an image and its target, as `torchvision.tv_tensors`: what moves the image moves
its boxes and masks. Everything random comes from torch's generator, which the data set
seeds for every sample.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any, Self

import torch
from pydantic import Field, model_validator
from torch import Tensor
from torchvision import tv_tensors
from torchvision.transforms import v2
from torchvision.transforms.v2 import functional as F

from detector.model.resizing import resized
from nars.spec import Frozen

__all__ = ["Augmentation", "Resize", "Sample", "Target", "mosaic", "pipeline"]

Target = dict[str, Tensor]
Sample = tuple[Tensor, Target]

Probability = Annotated[float, Field(ge=0, le=1)]
Side = Annotated[int, Field(ge=1)]

_GREY = 114
"""Of the parts of a mosaic that no image covers; near the mean of natural images."""


class Augmentation(Frozen):
    """How samples are made. The sizes are those of the published C4 detectors.

    Flips are off where left and right matter (digits, text): set `flip` to 0.
    """

    shortest: Annotated[tuple[Side, ...], Field(min_length=1)] = (224,)
    """Pixels of the shorter side; of several, one is drawn for every image."""
    longest: Side = 320
    """Pixels that the longer side may have; it wins over `shortest`."""
    flip: Probability = 0.5
    jitter: tuple[float, float] = (1.0, 1.0)
    """Large-scale jitter: lowest and highest factor on the size; above 1 a part is cut out."""
    photometric: Probability = 0.0
    """Share of images whose brightness, contrast, saturation and hue are changed."""
    mosaic: Probability = 0.0
    """Share of samples that are four images in one."""

    @model_validator(mode="after")
    def _rules(self) -> Self:
        low, high = self.jitter
        if not 0 < low <= high:
            raise ValueError(f"jitter must be two factors above 0, the lower first, got {low}, {high}")
        if max(self.shortest) > self.longest:
            raise ValueError(f"shortest {max(self.shortest)} is above longest {self.longest}")
        return self


def pipeline(settings: Augmentation) -> v2.Transform:
    """From a uint8 sample to a float one in 0..1 of plain tensors, without vanished boxes."""
    colours = v2.ColorJitter(brightness=0.3, contrast=0.3, saturation=0.3, hue=0.02)
    steps: list[v2.Transform] = [Resize(settings.shortest, settings.longest, settings.jitter)]
    if settings.flip:
        steps.append(v2.RandomHorizontalFlip(settings.flip))
    if settings.photometric:
        steps.append(v2.RandomApply([colours], settings.photometric))
    steps += [
        v2.ToDtype({tv_tensors.Image: torch.float32, "others": None}, scale=True),
        v2.SanitizeBoundingBoxes(),
    ]
    return v2.Compose([*steps, v2.ToPureTensor()])


class Resize(v2.Transform):  # type: ignore[misc]  # torchvision has no types
    """Antialiased resizing to `resized`, with large-scale jitter.

    A factor below 1 makes the image smaller than that; for one above 1 the part that will
    fill it is cut out first, so that the enlarged image is never made. (Large-scale jitter:
    Ghiasi et al., "Simple Copy-Paste", CVPR 2021; padding is left to the batch.)
    """

    def __init__(
        self, shortest: Sequence[int], longest: int, jitter: tuple[float, float] = (1.0, 1.0)
    ) -> None:
        super().__init__()
        self.shortest = tuple(shortest)
        self.longest = longest
        self.jitter = jitter

    def make_params(self, flat_inputs: list[Any]) -> dict[str, Any]:
        height, width = v2.query_size(flat_inputs)
        shortest = self.shortest[_random_below(len(self.shortest))]
        low, high = self.jitter
        factor = low + (high - low) * torch.rand(()).item() if high > low else low
        full = resized(height, width, shortest, self.longest)
        if factor <= 1:
            return {"window": None, "size": [max(1, int(side * factor + 0.5)) for side in full]}
        part = [max(1, int(side / factor + 0.5)) for side in (height, width)]
        top, left = _random_below(height - part[0] + 1), _random_below(width - part[1] + 1)
        return {"window": (top, left, *part), "size": list(full)}

    def transform(self, inpt: Any, params: dict[str, Any]) -> Any:
        if params["window"] is not None:
            inpt = F.crop(inpt, *params["window"])
        return F.resize(inpt, params["size"], antialias=True)


def mosaic(samples: Sequence[Sample], side: int) -> Sample:
    """Four samples around a random centre of a square canvas; the target is of all four.

    Every image is made to fit its quarter, its shape kept, and touches the centre. What else
    the first target holds (its image_id) stays.
    """
    assert len(samples) == 4, len(samples)
    middle_y, middle_x = (side // 4 + _random_below(side // 2 + 1) for _ in range(2))
    canvas = torch.full((3, side, side), _GREY, dtype=torch.uint8)
    parts: list[Target] = []
    for place, (image, target) in enumerate(samples):
        lower, right = divmod(place, 2)
        room = (side - middle_y if lower else middle_y, side - middle_x if right else middle_x)
        scale = min(room[0] / image.shape[-2], room[1] / image.shape[-1])
        height, width = (max(1, int(length * scale)) for length in image.shape[-2:])
        top, left = (middle_y if lower else middle_y - height), (middle_x if right else middle_x - width)
        canvas[:, top : top + height, left : left + width] = F.resize(image, [height, width], antialias=True)
        border = [left, top, side - left - width, side - top - height]
        parts.append(
            {
                key: F.pad(F.resize(target[key], [height, width]), border)
                for key in ("boxes", "masks")
                if key in target
            }
        )
    joined = {"labels": torch.cat([target["labels"] for _, target in samples])}
    boxes = torch.cat([part["boxes"].as_subclass(Tensor) for part in parts])
    joined["boxes"] = tv_tensors.BoundingBoxes(boxes, format="XYXY", canvas_size=(side, side))
    if "masks" in parts[0]:
        joined["masks"] = tv_tensors.Mask(torch.cat([part["masks"].as_subclass(Tensor) for part in parts]))
    return tv_tensors.Image(canvas), samples[0][1] | joined


def _random_below(count: int) -> int:
    """A whole number below `count`."""
    return int(torch.randint(count, ()).item())
