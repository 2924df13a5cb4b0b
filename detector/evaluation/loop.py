"""Runs a detector over a split of a data set, and measures its detections."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset

from detector.data import images
from detector.data.records import CocoData, Subset
from detector.evaluation.coco_ap import Scores, Tool, score
from detector.evaluation.results import Result, coco_results
from detector.model.targets import Detections
from nars import parallel
from nars.device import half_precision, memory_errors
from nars.errors import DataError

__all__ = ["Evaluation", "detect", "evaluate"]


_MASK_BYTES = 2**31
"""Memory that the masks of a batch may take, a byte a pixel: a photo of 12 million pixels may have 100."""


@dataclass(frozen=True, eq=False)
class Evaluation:
    """The quality of a detector on one split, and the detections it was measured on."""

    boxes: Scores
    masks: Scores | None
    """None for a detector without a mask head."""
    precision: NDArray[np.float64]
    """Precision of boxes [101, K] at IoU .50, for each recall 0, .01 ... 1 and class; NaN without objects."""
    results: tuple[Result, ...]
    """Every detection."""

    @property
    def main(self) -> Scores:
        """The scores of masks if there are any, else those of boxes."""
        return self.masks or self.boxes

    def numbers(self) -> dict[str, float | None]:
        """Return all metrics except `per_class` by name; those of masks start with ``mask_``."""
        kinds = {"": self.boxes} | ({"mask_": self.masks} if self.masks else {})
        return {
            prefix + name: value
            for prefix, scores in kinds.items()
            for name, value in asdict(scores).items()
            if name != "per_class"
        }


def evaluate(
    model: nn.Module,
    data: CocoData,
    split: str = "val",
    *,
    device: torch.device,
    batch_size: int = 8,
    workers: int | None = None,
    amp: bool = True,
    tool: Tool = "pycocotools",
) -> Evaluation:
    """Measure `model`, which is on `device`, on the ``train`` or ``val`` images.

    The processes of a distributed run share the images, and each returns the whole result. Raises
    `DataError` for a split without images, and for a detector with masks if an object has none.
    """
    subset = data.subset(split)
    if not subset.images:
        raise DataError(f"{subset.source}: no images in {split}")
    category_of = {label: category for category, label in data.labels.items()}
    own_indices = range(parallel.rank(), len(subset.images), parallel.world_size())
    settings = getattr(model, "settings", None)  # torchvision's detectors have none
    most = settings.detections if settings is not None and settings.mask else 0
    loader: DataLoader[tuple[int, Tensor]] = DataLoader(
        _Images(subset, own_indices),
        batch_size=_at_once(batch_size, subset, most),
        num_workers=workers or 0,
        collate_fn=list,
    )
    own_results: list[Result] = []
    for batch in loader:
        ids, pictures = zip(*batch, strict=True)
        for image_id, detections in zip(ids, detect(model, pictures, device, amp=amp), strict=True):
            own_results += coco_results(image_id, detections, category_of)
    results = parallel.gathered(own_results)
    boxes, precision = score(data, subset, results, tool=tool)
    masks = None
    if most:
        masks, _ = score(data, subset, results, kind="segm", tool=tool)
    return Evaluation(boxes, masks, precision, tuple(results))


def _at_once(batch_size: int, subset: Subset, masks: int) -> int:
    """Images of a batch: fewer if so many `masks` of each, all as large as the image, would take too much."""
    largest = max(image.width * image.height for image in subset.images)
    return max(1, min(batch_size, _MASK_BYTES // max(1, masks * largest)))


@torch.inference_mode()
def detect(
    model: nn.Module, pictures: Sequence[Tensor], device: torch.device, *, amp: bool = True
) -> list[Detections]:
    """Return the detections in uint8 RGB images [3, H, W] of any size, on the CPU.

    `model` is put into evaluation mode and then back; its weights become channels_last. Raises
    `TrialMemoryError`.
    """
    half = half_precision(device) if amp else None
    was_training = model.training
    with torch.inference_mode(mode=False):  # its weights may be trained afterwards
        model.eval().to(memory_format=torch.channels_last)
    batch = [picture.to(device, non_blocking=True).float() / 255 for picture in pictures]
    largest = max(picture.shape[-2] * picture.shape[-1] for picture in pictures)
    with (
        memory_errors(f"detecting in images of up to {largest} pixels"),
        torch.autocast(device.type, dtype=half, enabled=half is not None),
    ):
        outputs = model(batch)
    model.train(was_training)
    return [{name: values.cpu() for name, values in output.items()} for output in outputs]


class _Images(Dataset[tuple[int, Tensor]]):
    """The ids and pixels of some images of a subset, unchanged."""

    def __init__(self, subset: Subset, indices: Sequence[int]) -> None:
        self.subset = subset
        self.indices = indices

    def __len__(self) -> int:
        return len(self.indices)

    def __getitem__(self, index: int) -> tuple[int, Tensor]:
        record = self.subset.images[self.indices[index]]
        return record.id, images.load(self.subset, record)
