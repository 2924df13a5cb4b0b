"""From images of any size to one batch, and boxes back to the images as they were."""

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

__all__ = ["Transform"]

Target = dict[str, Tensor]


class Transform(GeneralizedRCNNTransform):  # type: ignore[misc]  # torchvision has no types
    """Resizes with antialiasing to rounded sizes, pads, and afterwards clips boxes to the image.

    `least` is the smallest side that the trunk can take, `divisor` what padded sides are a multiple
    of. Images that have the size already pass unchanged. An exporter, which can't follow a loop over
    masks, sets `pastes_masks` to False: they then stay probabilities [D, 1, M, M] within their boxes.
    """

    def __init__(self, settings: Settings, least: int, divisor: int) -> None:
        pixels = settings.pixels
        super().__init__(
            settings.shortest,
            settings.longest,
            list(pixels.mean),
            list(pixels.std),
            size_divisible=divisor,
            _skip_resize=not settings.resize_in_training,
        )
        self.least = least
        self.pastes_masks = True
        self.bgr = pixels.order == "bgr"

    def normalize(self, image: Tensor) -> Tensor:
        """RGB in 0..1 to what the network sees."""
        mean, std = image.new_tensor(self.image_mean), image.new_tensor(self.image_std)
        ordered = image.flip(0) if self.bgr else image
        return (255 * ordered - mean[:, None, None]) / std[:, None, None]

    def resize(self, image: Tensor, target: Target | None = None) -> tuple[Tensor, Target | None]:
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
        """One batch, padded with what zero is after normalization: the mean colour."""
        height, width = (
            math.ceil(max(self.least, *(image.shape[side] for image in images)) / size_divisible)
            * size_divisible
            for side in (1, 2)
        )
        padded = [F.pad(image, (0, width - image.shape[2], 0, height - image.shape[1])) for image in images]
        return torch.stack(padded)

    def postprocess(
        self,
        result: list[Target],
        image_shapes: Sequence[tuple[int, int]],
        original_image_sizes: Sequence[tuple[int, int]],
    ) -> list[Target]:
        if self.training:
            return result
        results = [
            _on_original(each, seen, original)
            for each, seen, original in zip(result, image_shapes, original_image_sizes, strict=True)
        ]
        if self.pastes_masks:
            for each, original in zip(results, original_image_sizes, strict=True):
                if "masks" in each:
                    each["masks"] = paste(each["masks"], each["boxes"], original)
        return results


def _on_original(result: Target, seen: tuple[int, int], original: tuple[int, int]) -> Target:
    """Rescaled and clipped, without what has no area then."""
    boxes = clip_boxes_to_image(resize_boxes(result["boxes"], seen, original), original)
    keep = (boxes[:, 2:] > boxes[:, :2]).all(1)
    return {name: values[keep] for name, values in (result | {"boxes": boxes}).items()}
