"""COCO's average precision of a detector on a split of a data set."""

from __future__ import annotations

import contextlib
import io
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from importlib import import_module
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset

from detector import distributed
from detector.data import images
from detector.data.coco import to_dict
from detector.data.masks import encode
from detector.data.records import CocoData, Subset
from nars.device import half_precision, memory_errors
from nars.errors import DataError, UsageError, WeightsError

__all__ = ["Evaluation", "Scores", "Tool", "check_classes", "detect", "evaluate", "score"]

Tool = Literal["pycocotools", "faster-coco-eval"]
Result = dict[str, Any]
"""One detection as COCO writes it: image_id, category_id, bbox, score, and for a mask segmentation."""


@dataclass(frozen=True)
class Scores:
    """COCO's metrics in 0..1; None where the split has no object to measure it on.

    `ap` is the mean over the IoU thresholds .50, .55 ... .95 and over classes. Small are objects
    below 32 by 32 pixels of the image, large those above 96 by 96.
    """

    ap: float
    ap50: float
    ap75: float
    ap_small: float | None
    ap_medium: float | None
    ap_large: float | None
    recall: float
    """Mean largest recall with 100 detections per image."""
    per_class: Mapping[str, float | None]
    """AP of each class."""


@dataclass(frozen=True, eq=False)
class Evaluation:
    boxes: Scores
    masks: Scores | None
    """None for a detector without a mask head."""
    precision: NDArray[np.float64]
    """Of boxes at IoU .50, for each recall 0, .01 ... 1 and class: [101, K]; NaN without objects."""
    results: tuple[Result, ...]
    """Every detection."""

    @property
    def main(self) -> Scores:
        """Of masks where there are any."""
        return self.masks or self.boxes

    def numbers(self) -> dict[str, float | None]:
        """AP and its kin by plain names, those of masks with ``mask_`` before them."""
        parts = {"": self.boxes} | ({"mask_": self.masks} if self.masks else {})
        return {
            prefix + name: value
            for prefix, scores in parts.items()
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
    workers: int = 0,
    amp: bool = True,
    tool: Tool = "pycocotools",
) -> Evaluation:
    """Measure `model`, which lies on `device`, on the ``train`` or ``val`` images.

    The processes of a distributed run share the images; each gets the whole result. Raises
    `DataError` for a split without images, and for masks where annotations have none.
    """
    part = {"train": data.train, "val": data.val}[split]
    if not part.images:
        raise DataError(f"{part.source}: no images in {split}")
    category_of = {label: category for category, label in data.labels.items()}
    chosen = range(distributed.rank(), len(part.images), distributed.world_size())
    loader: DataLoader[tuple[int, Tensor]] = DataLoader(
        _Images(part, chosen), batch_size=batch_size, num_workers=workers, collate_fn=list
    )
    found: list[Result] = []
    for batch in loader:
        ids, pictures = zip(*batch, strict=True)
        outputs = detect(model, pictures, device, amp=amp)
        for image_id, output in zip(ids, outputs, strict=True):
            found += _results(image_id, output, category_of)
    results = distributed.gathered(found)
    boxes, precision = score(data, part, results, tool=tool)
    masks = None
    settings = getattr(model, "settings", None)  # torchvision's detectors have none
    if settings is not None and settings.mask:
        masks, _ = score(data, part, results, kind="segm", tool=tool)
    return Evaluation(boxes, masks, precision, tuple(results))


@torch.inference_mode()
def detect(
    model: nn.Module, pictures: Sequence[Tensor], device: torch.device, *, amp: bool = True
) -> list[dict[str, Tensor]]:
    """The detections in uint8 RGB images [3, H, W] of any size, on the CPU; `model` keeps its mode."""
    half = half_precision(device) if amp else None
    was_training = model.training
    model.eval()
    batch = [picture.to(device, non_blocking=True).float() / 255 for picture in pictures]
    largest = max(picture.shape[-2] * picture.shape[-1] for picture in pictures)
    with (
        memory_errors(f"detecting in images of up to {largest} pixels"),
        torch.autocast(device.type, dtype=half, enabled=half is not None),
    ):
        outputs = model(batch)
    model.train(was_training)
    return [{name: values.cpu() for name, values in output.items()} for output in outputs]


def score(
    data: CocoData,
    split: Subset,
    results: Sequence[Result],
    *,
    kind: Literal["bbox", "segm"] = "bbox",
    tool: Tool = "pycocotools",
) -> tuple[Scores, NDArray[np.float64]]:
    """COCO's metrics of detections in `split`, and precisions [101, K] at IoU .50.

    Raises `DataError` where masks are asked for and an annotation has none; `UsageError` where
    `tool` is not installed.
    """
    if kind == "segm" and any(each.segmentation is None for each in split.annotations):
        raise DataError(f"{split.source}: an annotation has no segmentation, so masks can't be measured")
    ids = [category.id for category in data.categories]
    objects = {each.category_id for each in split.annotations if not each.crowd}
    if not results:  # which pycocotools doesn't take
        nothing = {category.name: 0.0 if category.id in objects else None for category in data.categories}
        empty = np.where([id in objects for id in ids], 0.0, np.nan)
        return Scores(0.0, 0.0, 0.0, None, None, None, 0.0, nothing), np.tile(empty, (101, 1))
    precision, recall = _accumulated(split, results, ids, kind, tool)
    sizes = [_mean(precision[:, :, :, area, -1]) for area in range(4)]
    per_class = {
        category.name: _mean(precision[:, :, index, 0, -1]) for index, category in enumerate(data.categories)
    }
    scores = Scores(
        ap=sizes[0] or 0.0,
        ap50=_mean(precision[0, :, :, 0, -1]) or 0.0,
        ap75=_mean(precision[5, :, :, 0, -1]) or 0.0,
        ap_small=sizes[1],
        ap_medium=sizes[2],
        ap_large=sizes[3],
        recall=_mean(recall[:, :, 0, -1]) or 0.0,
        per_class=per_class,
    )
    at_half = precision[0, :, :, 0, -1]
    return scores, np.where(at_half < 0, np.nan, at_half)


def check_classes(classes: Sequence[str], data: CocoData, source: str) -> None:
    """Raise `WeightsError` where a detector's classes are not those of the data."""
    if tuple(classes) == data.classes:
        return
    counts = f"{len(classes)} classes ({_few(classes)})"
    theirs = f"{len(data.classes)} ({_few(data.classes)})"
    raise WeightsError(f"{source} finds {counts}, the data has {theirs}")


class _Images(Dataset[tuple[int, Tensor]]):
    """Ids and pixels of the chosen images of a split, as they are."""

    def __init__(self, split: Subset, chosen: Sequence[int]) -> None:
        self.split = split
        self.chosen = chosen

    def __len__(self) -> int:
        return len(self.chosen)

    def __getitem__(self, index: int) -> tuple[int, Tensor]:
        record = self.split.images[self.chosen[index]]
        return record.id, images.load(self.split, record)


def _results(image_id: int, output: Mapping[str, Tensor], category_of: Mapping[int, int]) -> list[Result]:
    """COCO's results of one image; COCO writes boxes as left, top, width, height."""
    boxes = output["boxes"].double()
    boxes[:, 2:] -= boxes[:, :2]
    results: list[Result] = [
        {"image_id": image_id, "category_id": category_of[label], "bbox": box, "score": value}
        for box, label, value in zip(
            boxes.tolist(), output["labels"].tolist(), output["scores"].tolist(), strict=True
        )
    ]
    if "masks" in output:
        for result, mask in zip(results, output["masks"], strict=True):
            result["segmentation"] = encode(mask[0].numpy())
    return results


def _accumulated(
    split: Subset, results: Sequence[Result], ids: Sequence[int], kind: str, tool: Tool
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Precision [10, 101, K, 4, 3] and recall [10, K, 4, 3]: IoU, recall, class, size, detections."""
    coco_class, eval_class = _tool(tool)
    other = "bbox" if kind == "segm" else "segmentation"  # whose area would decide what is small
    found = [{key: value for key, value in one.items() if key != other} for one in results]
    with contextlib.redirect_stdout(io.StringIO()):
        truth = coco_class()
        truth.dataset = to_dict(split)
        truth.createIndex()
        run = eval_class(truth, truth.loadRes(found), kind)
        run.params.catIds = list(ids)
        run.evaluate()
        run.accumulate()
    return run.eval["precision"], run.eval["recall"]


def _tool(tool: Tool) -> tuple[Callable[[], Any], Callable[..., Any]]:
    if tool == "pycocotools":
        return import_module("pycocotools.coco").COCO, import_module("pycocotools.cocoeval").COCOeval
    try:
        package = import_module("faster_coco_eval")
    except ImportError:
        raise UsageError(f"{tool} is not installed: pip install nars[fast-eval]") from None
    return package.COCO, package.COCOeval_faster


def _mean(values: NDArray[np.float64]) -> float | None:
    """Over what was measured: COCO marks the rest with -1."""
    measured = values[values > -1]
    return float(measured.mean()) if measured.size else None


def _few(names: Sequence[str]) -> str:
    return ", ".join(names[:5]) + (", ..." if len(names) > 5 else "")
