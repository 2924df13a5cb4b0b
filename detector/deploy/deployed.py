"""A detector in the form that exported files have: tensors in, tensors out, nothing resized."""

from __future__ import annotations

from typing import Any, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torchvision.models.detection.image_list import ImageList

from detector.model.detector import Detector
from detector.model.pasting import paste
from detector.model.resizing import resized
from detector.model.targets import Detections
from detector.model.transform import on_original
from nars.networks.formats import onnx_session

__all__ = ["Deployed", "OnnxDetector", "fitted", "fitted_size", "least_side"]

_OUTPUTS = ("boxes", "labels", "scores", "image")
"""Names of the outputs of a detector without masks."""


class Deployed(nn.Module):
    """Finds objects in RGB images [N, 3, H, W] in 0..1 that have been resized already: see `fitted`.

    The outputs are ``boxes`` [D, 4] in pixels of the input, ``labels`` [D] of 1..K, ``scores`` [D],
    and ``image`` [D], the index of the image that each detection is in; if the detector segments,
    also ``masks`` [D, 1, M, M], probabilities inside the boxes. Normalization is included.
    """

    def __init__(self, model: Detector) -> None:
        super().__init__()
        self.model = model.eval()

    @property
    def outputs(self) -> tuple[str, ...]:
        """Names of the outputs, in order."""
        return (*_OUTPUTS, "masks") if self.model.settings.mask else _OUTPUTS

    def forward(self, images: Tensor) -> tuple[Tensor, ...]:
        model = self.model
        batch = torch.stack([model.transform.normalize(image) for image in images.unbind(0)])
        maps = model.backbone(batch)
        sizes = [(batch.shape[-2], batch.shape[-1])] * batch.shape[0]
        proposals, _ = model.rpn(ImageList(batch, sizes), maps)
        by_image, _ = model.roi_heads(maps, proposals, sizes)
        for index, detections in enumerate(by_image):
            detections["image"] = torch.full_like(detections["labels"], index)
        return tuple(torch.cat([detections[name] for detections in by_image]) for name in self.outputs)


def least_side(model: Detector) -> int:
    """Pixels of the smallest height and width that a file of `model` takes.

    If its sizes are free, maps have two cells or more, because one cell is traced as a special case.
    """
    least = model.transform.smallest_side
    return int(least if model.parts.fpn is not None else max(least, 2 * max(model.backbone.strides)))


def fitted(model: Detector, image: Tensor, fixed: tuple[int, int] | None = None) -> Tensor:
    """Resize an RGB image [3, H, W] in 0..1 to a batch [1, 3, h, w] as `Deployed` takes it.

    For a file that takes no other sizes, these are the `fixed` height and width.
    """
    transform = model.transform
    inner = _resized(model, image, fixed)
    height, width = inner.shape[-2:]
    sides = _padded(model, height, width) if fixed is None else fixed
    mean = image.new_tensor(transform.image_mean) / 255  # zero after normalization
    canvas = (mean.flip(0) if transform.bgr else mean)[:, None, None].repeat(1, *sides)
    canvas[:, :height, :width] = inner
    return canvas[None]


def fitted_size(model: Detector, height: int, width: int) -> tuple[int, int]:
    """Height and width of what `fitted` makes of an image of this size."""
    transform = model.transform
    return _padded(model, *resized(height, width, max(transform.min_size), transform.max_size))


def _padded(model: Detector, height: int, width: int) -> tuple[int, int]:
    """Height and width to which a resized image is padded."""
    divisor, least = model.transform.size_divisible, least_side(model)
    return max(-(-height // divisor) * divisor, least), max(-(-width // divisor) * divisor, least)


def _resized(model: Detector, image: Tensor, fixed: tuple[int, int] | None) -> Tensor:
    """The image [3, h, w] as large as a detector sees it, or smaller if it does not fit into `fixed`."""
    before, transform = (image.shape[-2], image.shape[-1]), model.transform
    seen = resized(*before, max(transform.min_size), transform.max_size)
    if fixed is None or (seen[0] <= fixed[0] and seen[1] <= fixed[1]):
        return cast(Tensor, transform.resize(image)[0])
    scale = min(most / side for most, side in zip(fixed, before, strict=True))
    after = [min(most, max(1, round(side * scale))) for most, side in zip(fixed, before, strict=True)]
    return F.interpolate(image[None], after, mode="bilinear", antialias=True)[0]


class OnnxDetector(nn.Module):
    """Runs an ONNX file of `Deployed`, one image at a time, with the interface of `Detector`.

    `model` is the detector that the file was made from, which resizes the images, and `fixed` are height and
    width if the file takes no others. Raises `UsageError` if ONNX Runtime is not installed.
    """

    def __init__(self, data: bytes, model: Detector, fixed: tuple[int, int] | None = None) -> None:
        super().__init__()
        self.fixed = fixed
        self.session: Any = onnx_session(data)
        self.settings = model.settings
        self.source = [model]  # a list keeps it from becoming a submodule

    def forward(self, images: list[Tensor]) -> list[Detections]:
        return [self._detections(image) for image in images]

    def _detections(self, image: Tensor) -> Detections:
        batch = fitted(self.source[0], image, self.fixed)
        outputs = map(torch.from_numpy, self.session.run(None, {"images": batch.numpy()}))
        names = (output.name for output in self.session.get_outputs())
        detections = dict(zip(names, outputs, strict=True))
        del detections["image"]
        inner = _resized(self.source[0], image, self.fixed)
        size = (image.shape[-2], image.shape[-1])
        detections = on_original(detections, (inner.shape[-2], inner.shape[-1]), size)
        if "masks" in detections:
            detections["masks"] = paste(detections["masks"], detections["boxes"], size)
        return detections
