"""Turns images of any size into one batch, and boxes back into pixels of the original images."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor
from torchvision.models.detection.transform import GeneralizedRCNNTransform, resize_boxes
from torchvision.ops import clip_boxes_to_image

from detector.model.pasting import paste
from detector.model.resizing import resized
from detector.model.settings import Settings
from detector.model.targets import Detections, Target

__all__ = ["Transform", "on_original"]


class Transform(GeneralizedRCNNTransform):  # type: ignore[misc]  # torchvision has no types
    """Resizes with antialiasing to rounded sizes and pads; afterwards clips boxes to the image.

    `smallest_side` is the smallest side that the trunk accepts, and padded sides are multiples of
    `divisor`. Images that have the right size already pass unchanged. An exporter, which cannot
    trace a loop over masks, sets `pastes_masks` to False: masks then stay probabilities
    [D, 1, M, M] within their boxes.
    """

    def __init__(self, settings: Settings, smallest_side: int, divisor: int) -> None:
        pixels = settings.pixels
        super().__init__(
            settings.shortest,
            settings.longest,
            list(pixels.mean),
            list(pixels.std),
            size_divisible=divisor,
            _skip_resize=not settings.resize_in_training,
        )
        self.smallest_side = smallest_side
        self.pastes_masks = True
        self.bgr = pixels.order == "bgr"

    def normalize(self, image: Tensor) -> Tensor:
        """Turn RGB [3, H, W] in 0..1 into the network's input."""
        mean, std = image.new_tensor(self.image_mean), image.new_tensor(self.image_std)
        ordered = image.flip(0) if self.bgr else image
        return (255 * ordered - mean[:, None, None]) / std[:, None, None]

    def normalized(self, images: Tensor) -> Tensor:
        """Turn RGB [N, 3, H, W] in 0..1 into the network's input, without copies from the CPU."""
        channels = images.unbind(1)[::-1] if self.bgr else images.unbind(1)
        pixels = zip(channels, self.image_mean, self.image_std, strict=True)
        return torch.stack([(255 * channel - mean) / std for channel, mean, std in pixels], dim=1)

    def resize(self, image: Tensor, target: Target | None = None) -> tuple[Tensor, Target | None]:
        """Resize an image [3, H, W] and its target, unless a loader has done so for training."""
        if self.training and self._skip_resize:
            return image, target
        shortest = self.torch_choice(list(self.min_size)) if self.training else max(self.min_size)
        before = (image.shape[-2], image.shape[-1])
        after = resized(*before, shortest, self.max_size)
        if after == before:
            return image, target
        image = F.interpolate(image[None], after, mode="bilinear", antialias=True)[0]
        if target is not None:
            target["boxes"] = resize_boxes(target["boxes"], before, after)
            if "masks" in target:
                target["masks"] = F.interpolate(target["masks"][:, None].float(), after)[:, 0].byte()
        return image, target

    def batch_images(self, images: list[Tensor], size_divisible: int = 1) -> Tensor:
        """Pad images to one batch [N, 3, H, W] with zeros, which are the mean colour after normalization."""
        height, width = (
            math.ceil(max(self.smallest_side, *(image.shape[side] for image in images)) / size_divisible)
            * size_divisible
            for side in (1, 2)
        )
        padded = [F.pad(image, (0, width - image.shape[2], 0, height - image.shape[1])) for image in images]
        return torch.stack(padded)

    def postprocess(
        self,
        result: list[Detections],
        image_shapes: Sequence[tuple[int, int]],
        original_image_sizes: Sequence[tuple[int, int]],
    ) -> list[Detections]:
        """Return detections in pixels of the original images."""
        if self.training:
            return result
        results = [
            on_original(detections, resized_to, original)
            for detections, resized_to, original in zip(
                result, image_shapes, original_image_sizes, strict=True
            )
        ]
        if self.pastes_masks:
            for detections, original in zip(results, original_image_sizes, strict=True):
                if "masks" in detections:
                    detections["masks"] = paste(detections["masks"], detections["boxes"], original)
        return results


def on_original(detections: Detections, resized_to: tuple[int, int], original: tuple[int, int]) -> Detections:
    """Rescale and clip detections to the original image, and drop those without area."""
    boxes = clip_boxes_to_image(resize_boxes(detections["boxes"], resized_to, original), original)
    keep = (boxes[:, 2:] > boxes[:, :2]).all(1)
    return {name: values[keep] for name, values in (detections | {"boxes": boxes}).items()}
