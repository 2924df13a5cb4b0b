"""A detector in the form in which files of it compute: tensors in, tensors out, nothing resized."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torchvision.models.detection.image_list import ImageList

from detector.model.detector import Detector
from nars.errors import UsageError

__all__ = ["Deployed", "OnnxDetector", "fitted"]

OUTPUTS = ("boxes", "labels", "scores", "image")


class Deployed(nn.Module):
    """RGB images [N, 3, H, W] in 0..1, all of the size that they are to be looked at, to detections.

    ``boxes`` [D, 4] in pixels of the input, ``labels`` [D] of 1..K, ``scores`` [D], and ``image`` [D],
    the index of the image that each is in; where the detector segments also ``masks`` [D, 1, M, M],
    probabilities inside the box. Normalization is inside, resizing is not: see `fitted`.
    """

    def __init__(self, model: Detector) -> None:
        super().__init__()
        self.model = model.eval()

    @property
    def outputs(self) -> tuple[str, ...]:
        return (*OUTPUTS, "masks") if self.model.settings.mask else OUTPUTS

    def forward(self, images: Tensor) -> tuple[Tensor, ...]:
        model = self.model
        batch = torch.stack([model.transform.normalize(image) for image in images.unbind(0)])
        maps = model.backbone(batch)
        sizes = [(batch.shape[-2], batch.shape[-1])] * batch.shape[0]
        proposals, _ = model.rpn(ImageList(batch, sizes), maps)
        found, _ = model.roi_heads(maps, proposals, sizes)
        owners = [torch.full_like(each["labels"], index) for index, each in enumerate(found)]
        joined = [torch.cat([each[name] for each in found]) for name in ("boxes", "labels", "scores")]
        masks = [torch.cat([each["masks"] for each in found])] if model.settings.mask else []
        return (*joined, torch.cat(owners), *masks)


def fitted(model: Detector, image: Tensor) -> Tensor:
    """An RGB image [3, H, W] in 0..1 as a batch [1, 3, h, w] of the size that `Deployed` wants."""
    transform = model.transform
    resized, _ = transform.resize(image)
    height, width = resized.shape[-2:]
    divisor = transform.size_divisible
    sides = [max(-(-side // divisor) * divisor, transform.smallest_side) for side in (height, width)]
    grey = image.new_tensor(transform.image_mean) / 255  # zero after normalization
    canvas = (grey.flip(0) if transform.bgr else grey)[:, None, None].repeat(1, *sides)
    canvas[:, :height, :width] = resized
    return canvas[None]


class OnnxDetector(nn.Module):
    """An ONNX file of `Deployed`, one image at a time, with the interface of `Detector`.

    `model` says how images are resized. Raises `UsageError` where ONNX Runtime is not installed.
    """

    def __init__(self, data: bytes, model: Detector) -> None:
        super().__init__()
        try:
            import onnxruntime
        except ImportError:
            raise UsageError("ONNX files need onnxruntime: pip install nars[onnx]") from None
        options = onnxruntime.SessionOptions()
        options.log_severity_level = 3
        options.intra_op_num_threads = torch.get_num_threads()
        self.session: Any = onnxruntime.InferenceSession(data, options, providers=["CPUExecutionProvider"])
        self.source = [model]  # in a list, so that it is no part of this module

    def forward(self, images: list[Tensor]) -> list[dict[str, Tensor]]:
        return [self._one(image) for image in images]

    def _one(self, image: Tensor) -> dict[str, Tensor]:
        batch = fitted(self.source[0], image)
        boxes, labels, scores = map(torch.from_numpy, self.session.run(None, {"images": batch.numpy()})[:3])
        seen, _ = self.source[0].transform.resize(image)
        ratio = torch.tensor([image.shape[-1] / seen.shape[-1], image.shape[-2] / seen.shape[-2]])
        boxes = (boxes * ratio.repeat(2)).clamp(min=0)
        limit = torch.tensor([image.shape[-1], image.shape[-2]]).repeat(2)
        return {"boxes": torch.minimum(boxes, limit), "labels": labels, "scores": scores}
