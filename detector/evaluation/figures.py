"""Draws an evaluation: precision over recall of every class, and the confusion matrix."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray
from pycocotools import mask as coco_mask
from torchvision.ops import box_iou

from detector.data.readers.own_ids import own
from detector.data.records import Annotation, CocoData, Subset
from detector.evaluation.loop import Evaluation
from nars.deploy.fonts import drawable
from nars.files import write_whole
from nars.report.plots import BLUE, GREY, save_png

__all__ = ["confusion", "draw_confusion", "draw_precision", "write_figures"]

_LEAST_SCORE = 0.3
"""Score below which detections are left out of the confusion matrix."""

_MOST_NAMED_CLASSES = 30
"""Most classes whose names and numbers are written into the matrix."""


def write_figures(evaluation: Evaluation, data: CocoData, split: str, folder: Path) -> None:
    """Write ``precision_recall.png``, ``confusion.png`` and ``results.json`` to `folder`."""
    scores = evaluation.boxes.per_class
    save_png(draw_precision(evaluation.precision, data.classes, scores), folder / "precision_recall.png")
    matrix = confusion(data.subset(split), evaluation.results, data.labels)
    save_png(draw_confusion(matrix, data.classes), folder / "confusion.png")
    write_whole(folder / "results.json", json.dumps(own(evaluation.results, data.subset(split))))


def draw_precision(
    precision: NDArray[np.float64], classes: Sequence[str], scores: Mapping[str, float | None]
) -> Figure:
    """Draw precision over recall of every class, and their mean.

    `precision` is [101, K] at the recalls 0, .01 ... 1 and IoU .50; `scores` are the APs by class.
    """
    figure = Figure(figsize=(6, 4.5), layout="constrained")
    axes = figure.subplots()
    recall = np.linspace(0, 1, len(precision))
    measured = [index for index, name in enumerate(classes) if scores.get(name) is not None]
    for index in measured:
        label = (
            f"{drawable(classes[index])} (AP {scores[classes[index]]:.2f})" if len(measured) <= 12 else None
        )
        axes.plot(recall, precision[:, index], lw=1, alpha=0.7, label=label)
    if measured:
        axes.plot(recall, precision[:, measured].mean(1), color=BLUE, lw=2.5, label="mean")
    axes.set(xlabel="recall", ylabel="precision at IoU 0.5", xlim=(0, 1), ylim=(0, 1.02))
    axes.legend(fontsize="small", frameon=False)
    return figure


def confusion(
    subset: Subset,
    results: Sequence[Mapping[str, Any]],
    labels: Mapping[int, int],
    least_iou: float = 0.5,
) -> NDArray[np.int64]:
    """Count objects [K + 1, K + 1] by their class (row) and the class they were detected as (column).

    The last row counts detections without an object, the last column objects without a
    detection. By falling score, each detection takes the free object that it overlaps most. One without
    an object does not count if it lies in a crowd of its class, by COCO's rule.
    """
    size = len(labels)
    matrix = np.zeros((size + 1, size + 1), dtype=np.int64)
    by_image: dict[int, list[Mapping[str, Any]]] = {image.id: [] for image in subset.images}
    for result in results:
        if result["score"] >= _LEAST_SCORE:
            by_image[result["image_id"]].append(result)
    for image in subset.images:
        annotations = subset.by_image[image.id]
        objects = [annotation for annotation in annotations if not annotation.crowd]
        crowds = [annotation for annotation in annotations if annotation.crowd]
        free = torch.ones(len(objects), dtype=torch.bool)
        truth = _corners([annotation.box for annotation in objects])
        for result in sorted(by_image[image.id], key=lambda result: -result["score"]):
            column = labels[result["category_id"]] - 1
            overlaps = box_iou(_corners([result["bbox"]]), truth)[0] * free
            if len(objects) and float(overlaps.max()) >= least_iou:
                best = int(overlaps.argmax())
                free[best] = False
                matrix[labels[objects[best].category_id] - 1, column] += 1
            elif not _is_in_crowd(result, crowds, least_iou):
                matrix[size, column] += 1
        for missed in torch.where(free)[0].tolist():
            matrix[labels[objects[missed].category_id] - 1, size] += 1
    return matrix


def draw_confusion(matrix: NDArray[np.int64], classes: Sequence[str]) -> Figure:
    """Draw the matrix of `confusion`, each cell shaded by its share of the row."""
    names = [*map(drawable, classes), "nothing"]
    side = min(max(4.0, 0.45 * len(names)), 14.0)
    figure = Figure(figsize=(side + 1, side), layout="constrained")
    axes: Axes = figure.subplots()
    totals = np.maximum(matrix.sum(1, keepdims=True), 1)
    axes.imshow(matrix / totals, cmap="Blues", vmin=0, vmax=1)
    axes.set(xlabel="found as", ylabel="is")
    if len(names) <= _MOST_NAMED_CLASSES:
        ticks = range(len(names))
        axes.set_xticks(ticks, names, rotation=90)
        axes.set_yticks(ticks, names)
        for row, column in np.argwhere(matrix):
            dark = matrix[row, column] > totals[row, 0] / 2
            colour = "white" if dark else GREY
            axes.text(
                column, row, matrix[row, column], ha="center", va="center", fontsize="small", color=colour
            )
    return figure


def _is_in_crowd(result: Mapping[str, Any], crowds: Sequence[Annotation], least: float) -> bool:
    """Whether at least this share of a detection lies in a crowd of its class."""
    boxes = [list(crowd.box) for crowd in crowds if crowd.category_id == result["category_id"]]
    if not boxes:
        return False
    shares = coco_mask.iou([list(result["bbox"])], boxes, [True] * len(boxes))  # of a crowd: of the detection
    return float(shares.max()) >= least


def _corners(boxes: Sequence[Sequence[float]]) -> torch.Tensor:
    """Turn COCO's left, top, width, height into left, top, right, bottom [N, 4]."""
    corners = torch.tensor([list(box) for box in boxes], dtype=torch.float64).reshape(-1, 4)
    corners[:, 2:] += corners[:, :2]
    return corners
