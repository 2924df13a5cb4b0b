"""Measures COCO's average precision of detections on a split of a data set."""

from __future__ import annotations

import contextlib
import io
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from detector.data.coco import to_dict
from detector.data.records import CocoData, Subset
from detector.evaluation.results import Result
from nars.errors import DataError, UsageError

__all__ = ["Scores", "Tool", "evaluator_of", "score"]

Tool = Literal["pycocotools", "faster-coco-eval"]
"""The library that computes the metrics; both give equal numbers."""


@dataclass(frozen=True)
class Scores:
    """COCO's metrics in 0..1.

    AP, AP50, AP75 and recall are 0 if there is nothing to measure. Metrics by size and by class are None if
    there are no such objects, those by size also if nothing was detected.

    Objects are small below 32 x 32 pixels of the image, and large above 96 x 96.
    """

    ap: float
    """Mean average precision over the IoU thresholds .50, .55 ... .95 and over classes."""
    ap50: float
    """AP at IoU .50."""
    ap75: float
    """AP at IoU .75."""
    ap_small: float | None
    ap_medium: float | None
    ap_large: float | None
    recall: float
    """Mean largest recall with 100 detections per image."""
    per_class: Mapping[str, float | None]
    """AP of each class."""


def score(
    data: CocoData,
    subset: Subset,
    results: Sequence[Result],
    *,
    kind: Literal["bbox", "segm"] = "bbox",
    tool: Tool = "pycocotools",
) -> tuple[Scores, NDArray[np.float64]]:
    """Return COCO's metrics of detections in `subset`, and precisions [101, K] at IoU .50.

    Raises `DataError` if masks are asked for and an object has none, crowds aside, and `UsageError` if
    `tool` is not installed.
    """
    objects = (annotation for annotation in subset.annotations if not annotation.crowd)
    if kind == "segm" and any(annotation.segmentation is None for annotation in objects):
        raise DataError(f"{subset.source}: an object has no segmentation, so masks can't be measured")
    ids = [category.id for category in data.categories]
    if not results:  # which pycocotools does not accept
        return _scores_of_nothing(data, subset)
    precision, recall = _accumulated(subset, results, ids, kind, tool)
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


def _scores_of_nothing(data: CocoData, subset: Subset) -> tuple[Scores, NDArray[np.float64]]:
    """Return what `score` returns if there are no detections at all."""
    present = {annotation.category_id for annotation in subset.annotations if not annotation.crowd}
    per_class = {category.name: 0.0 if category.id in present else None for category in data.categories}
    precision = np.where([category.id in present for category in data.categories], 0.0, np.nan)
    return Scores(0.0, 0.0, 0.0, None, None, None, 0.0, per_class), np.tile(precision, (101, 1))


def _accumulated(
    subset: Subset, results: Sequence[Result], ids: Sequence[int], kind: Literal["bbox", "segm"], tool: Tool
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return precision [10, 101, K, 4, 3] and recall [10, K, 4, 3].

    The axes are IoU, recall (of the first only), class, size of objects and number of detections.
    """
    evaluator = evaluator_of(subset, results, ids, kind, tool)
    with contextlib.redirect_stdout(io.StringIO()):
        evaluator.accumulate()
    return evaluator.eval["precision"], evaluator.eval["recall"]


def evaluator_of(
    subset: Subset,
    results: Sequence[Result],
    ids: Sequence[int],
    kind: Literal["bbox", "segm"],
    tool: Tool = "pycocotools",
) -> Any:
    """The tool's evaluator of detections, after it has matched them to the objects of every image.

    Raises `UsageError` if `tool` is not installed.
    """
    coco_class, eval_class = _tool(tool)
    # The other form would decide by its own area which detections are small.
    other = "bbox" if kind == "segm" else "segmentation"
    of_kind = [{key: value for key, value in result.items() if key != other} for result in results]
    with contextlib.redirect_stdout(io.StringIO()):
        truth = coco_class()
        truth.dataset = _truth(subset, kind)
        truth.createIndex()
        evaluator = eval_class(truth, truth.loadRes(of_kind), kind)
        evaluator.params.catIds = list(ids)
        evaluator.evaluate()
    return evaluator


def _truth(subset: Subset, kind: Literal["bbox", "segm"]) -> dict[str, Any]:
    """COCO's object of what there is to find.

    Objects are numbered anew from 1: the tools note the number of the object that a detection matches, and
    take 0 for none. A crowd without a segmentation is its box.
    """
    document = to_dict(subset)
    rows = [row | {"id": number} for number, row in enumerate(document["annotations"], start=1)]
    if kind == "segm":
        rows = [{"segmentation": [_outline(*row["bbox"])]} | row for row in rows]
    return document | {"annotations": rows}


def _outline(left: float, top: float, width: float, height: float) -> list[float]:
    """The polygon of a box."""
    right, bottom = left + width, top + height
    return [left, top, right, top, right, bottom, left, bottom]


def _tool(tool: Tool) -> tuple[Callable[[], Any], Callable[..., Any]]:
    """Import a tool's classes for a data set and for its evaluation. Raises `UsageError`."""
    if tool == "pycocotools":
        return import_module("pycocotools.coco").COCO, import_module("pycocotools.cocoeval").COCOeval
    try:
        package = import_module("faster_coco_eval")
    except ImportError:
        raise UsageError(f"{tool} is not installed: pip install nars[fast-eval]") from None
    return package.COCO, package.COCOeval_faster


def _mean(values: NDArray[np.float64]) -> float | None:
    """Return the mean of the values that were measured; COCO marks the others with -1."""
    measured = values[values > -1]
    return float(measured.mean()) if measured.size else None
