"""Resizes and augments samples, by torchvision.transforms.v2.

A sample is an image and its target, as `torchvision.tv_tensors`, so boxes and masks move with
their image. All random numbers come from torch's generator, which the data set seeds for every
sample.
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
from detector.model.targets import Target
from detector.training.ranges import Jitter, Probability
from nars.documents import Frozen

__all__ = ["Augmentation", "Resize", "Sample", "mosaic", "pipeline"]

Sample = tuple[Tensor, Target]
"""An image [3, H, W] and its target."""

Side = Annotated[int, Field(ge=1)]

_GREY = 114
"""Value of the pixels of a mosaic that no image covers; close to the mean of natural images."""


class Augmentation(Frozen):
    """How training samples are resized and changed. The sizes are those of the published C4 detectors."""

    shortest: Annotated[tuple[Side, ...], Field(min_length=1)] = (224,)
    """Pixels of the shorter side; if there are several, one is drawn for every image."""
    longest: Side = 320
    """Most pixels of the longer side, even if the shorter then falls below `shortest`."""
    flip: Probability = 0.5
    """Share of images that are mirrored; set it to 0 if left and right matter, as in digits and text."""
    jitter: Jitter = (1.0, 1.0)
    """Lowest and highest factor of large-scale jitter; above 1 a part is cut out and enlarged."""
    photometric: Probability = 0.0
    """Share of images whose brightness, contrast, saturation and hue are changed."""
    mosaic: Probability = 0.0
    """Share of samples that combine four images."""

    @model_validator(mode="after")
    def _rules(self) -> Self:
        if max(self.shortest) > self.longest:
            raise ValueError(f"shortest {max(self.shortest)} is above longest {self.longest}")
        return self


def pipeline(settings: Augmentation) -> v2.Transform:
    """Return the transform of a uint8 sample into a float one in 0..1; it drops boxes that become empty."""
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
    """Resizes to the size of `resized`, antialiased, with large-scale jitter.

    A factor below 1 makes the image smaller than that size. For a factor above 1, the part that
    will fill that size is cut out first, so the enlarged image is never made. Source of
    large-scale jitter: Ghiasi et al., "Simple Copy-Paste", CVPR 2021; padding is left to the batch.
    """

    def __init__(
        self, shortest: Sequence[int], longest: int, jitter: tuple[float, float] = (1.0, 1.0)
    ) -> None:
        super().__init__()
        self.shortest = tuple(shortest)
        self.longest = longest
        self.jitter = jitter

    def make_params(self, flat_inputs: list[Any]) -> dict[str, Any]:
        """Draw the size, and the window (top, left, height, width) to cut out; None for the whole image."""
        height, width = v2.query_size(flat_inputs)
        shortest = self.shortest[_random_below(len(self.shortest))]
        low, high = self.jitter
        factor = low + (high - low) * torch.rand(()).item() if high > low else low
        full = resized(height, width, shortest, self.longest)
        if factor <= 1:
            return {"window": None, "size": [max(1, int(side * factor + 0.5)) for side in full]}
        cut_height, cut_width = (max(1, int(side / factor + 0.5)) for side in (height, width))
        top, left = _random_below(height - cut_height + 1), _random_below(width - cut_width + 1)
        return {"window": (top, left, cut_height, cut_width), "size": list(full)}

    def transform(self, inpt: Any, params: dict[str, Any]) -> Any:
        """Cut out and resize one input: the image, its boxes, or its masks."""
        if params["window"] is not None:
            inpt = F.crop(inpt, *params["window"])
        return F.resize(inpt, params["size"], antialias=True)


def mosaic(samples: Sequence[Sample], side: int) -> Sample:
    """Put four samples around a random centre of a square canvas, and join their targets.

    Every image is scaled to fit its quarter, keeps its shape, and touches the centre. The other
    entries of the first target (such as its image_id) are kept.
    """
    assert len(samples) == 4, len(samples)
    middle_y, middle_x = (side // 4 + _random_below(side // 2 + 1) for _ in range(2))
    canvas = torch.full((3, side, side), _GREY, dtype=torch.uint8)
    moved: list[Target] = []
    for quarter, (image, target) in enumerate(samples):
        lower, right = divmod(quarter, 2)
        room_y, room_x = (side - middle_y if lower else middle_y), (side - middle_x if right else middle_x)
        scale = min(room_y / image.shape[-2], room_x / image.shape[-1])
        height, width = (max(1, int(length * scale)) for length in image.shape[-2:])
        top, left = (middle_y if lower else middle_y - height), (middle_x if right else middle_x - width)
        canvas[:, top : top + height, left : left + width] = F.resize(image, [height, width], antialias=True)
        border = [left, top, side - left - width, side - top - height]
        moved.append(
            {
                key: F.pad(F.resize(target[key], [height, width]), border)
                for key in ("boxes", "masks")
                if key in target
            }
        )
    joined = {"labels": torch.cat([target["labels"] for _, target in samples])}
    boxes = torch.cat([target["boxes"].as_subclass(Tensor) for target in moved])
    joined["boxes"] = tv_tensors.BoundingBoxes(boxes, format="XYXY", canvas_size=(side, side))
    if "masks" in moved[0]:
        masks = [target["masks"].as_subclass(Tensor) for target in moved]
        joined["masks"] = tv_tensors.Mask(torch.cat(masks))
    return tv_tensors.Image(canvas), samples[0][1] | joined


def _random_below(count: int) -> int:
    """Draw a whole number below `count` from torch's generator."""
    return int(torch.randint(count, ()).item())
