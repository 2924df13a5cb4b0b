"""Detections as COCO writes results: one entry per detection, boxes as left, top, width, height."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from detector.data.masks import encode
from detector.model.targets import Detections

__all__ = ["Result", "coco_results"]

Result = dict[str, Any]
"""A detection with ``image_id``, ``category_id``, ``bbox``, ``score`` and, for masks, ``segmentation``."""


def coco_results(
    image_id: int | str, detections: Detections, category_of: Mapping[int, int | str] | Mapping[int, int]
) -> list[Result]:
    """Return COCO's results of one image; `category_of` maps each label to its category id."""
    boxes = detections["boxes"].double()
    boxes[:, 2:] -= boxes[:, :2]
    labels, scores = detections["labels"].tolist(), detections["scores"].tolist()
    results: list[Result] = [
        {"image_id": image_id, "category_id": category_of[label], "bbox": box, "score": score}
        for box, label, score in zip(boxes.tolist(), labels, scores, strict=True)
    ]
    if "masks" in detections:
        for result, mask in zip(results, detections["masks"], strict=True):
            result["segmentation"] = encode(mask[0].numpy())
    return results
