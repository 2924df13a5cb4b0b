"""How far a detector's AP depends on which images it is measured on, by a bootstrap over these images."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from detector.data.records import CocoData
from detector.evaluation.coco_ap import evaluator_of
from detector.evaluation.loop import Evaluation
from detector.evaluation.results import Result

__all__ = ["ap_interval", "draws", "resampled_aps"]

_RESAMPLES = 200
"""Bootstrap samples of the images."""

_LEVELS = np.linspace(0, 1, 101)
"""Recalls at which precision is averaged, by COCO's rules."""

_AT_ONCE = 2**22
"""Numbers that an array may have, for which draws are taken a few at a time: each array is 32 MB at most."""

_LARGE_DETECTIONS, _ALL_SIZES = 100, 0
"""Detections of an image that count, and COCO's number of the range of all sizes."""

Floats = NDArray[np.float64]


def ap_interval(
    data: CocoData, evaluation: Evaluation, split: str = "val", seed: int = 0
) -> tuple[float, float] | None:
    """The ends of the 95 % interval of the main AP; None without detections, or with a single image.

    Images are drawn again and again with replacement (Efron 1979), and the AP of each draw is that of COCO.
    What another training would give is no part of it.
    """
    images = len(data.subset(split).images)
    if not evaluation.results or images < 2:
        return None
    kind: Literal["bbox", "segm"] = "segm" if evaluation.masks else "bbox"
    aps = resampled_aps(data, evaluation.results, draws(images, seed), split, kind)
    low, high = np.nanquantile(aps, [0.025, 0.975])
    return float(low), float(high)


def draws(images: int, seed: int) -> Floats:
    """How often each image is drawn [R, I] in samples of as many images, with replacement."""
    rng = np.random.default_rng(seed)
    return rng.multinomial(images, np.full(images, 1 / images), size=_RESAMPLES).astype(np.float64)


def resampled_aps(
    data: CocoData,
    results: Sequence[Result],
    drawn: Floats,
    split: str = "val",
    kind: Literal["bbox", "segm"] = "bbox",
) -> Floats:
    """The AP [R] of detections in each draw [R, I] of the images of a split; NaN without objects."""
    ids = [category.id for category in data.categories]
    if not results:
        return np.zeros(len(drawn))
    return _aps(evaluator_of(data.subset(split), results, ids, kind), drawn)


def _aps(evaluator: Any, drawn: Floats) -> Floats:
    """The AP [R] of each draw, in which an image counts `drawn` [R, I] times; NaN without objects."""
    params = evaluator.params
    shape = len(params.catIds), len(params.areaRng), len(params.imgIds)
    entries = np.array([*evaluator.evalImgs, None], dtype=object)[:-1].reshape(shape)[:, _ALL_SIZES]
    of_classes = np.stack([_aps_of_class(list(images), drawn) for images in entries])
    measured = ~np.isnan(of_classes)
    count = measured.sum(0)
    total = np.where(measured, of_classes, 0.0).sum(0)
    aps: Floats = np.where(count > 0, total / np.maximum(count, 1), np.nan)
    return aps


def _aps_of_class(images: Sequence[dict[str, Any] | None], drawn: Floats) -> Floats:
    """The AP [R] of one class in each draw, the mean over the IoU thresholds; NaN without objects."""
    objects = np.array([0 if image is None else (image["gtIgnore"] == 0).sum() for image in images])
    wanted = drawn @ objects  # [R]
    matched, ignored, scores, owner = _detections(images)
    order = np.argsort(-scores, kind="mergesort")
    matched, ignored, owner = matched[:, order], ignored[:, order], owner[order]
    aps = np.zeros(len(drawn))
    count = max(1, _AT_ONCE // max(1, len(owner)))
    for few in (slice(start, start + count) for start in range(0, len(drawn), count)):
        weights = drawn[few][:, owner]  # [few, D]
        for hit, skipped in zip(matched, ignored, strict=True):
            right = np.cumsum(weights * (hit & ~skipped), axis=1)
            wrong = np.cumsum(weights * (~hit & ~skipped), axis=1)
            recall = right / np.maximum(wanted[few], 1)[:, None]
            precision = right / np.maximum(right + wrong, 1)
            best = np.maximum.accumulate(precision[:, ::-1], axis=1)[:, ::-1]
            aps[few] += [_mean_precision(*curve) for curve in zip(recall, best, strict=True)]
    found: Floats = np.where(wanted > 0, aps / len(matched), np.nan)
    return found


def _detections(
    images: Sequence[dict[str, Any] | None],
) -> tuple[NDArray[np.bool_], NDArray[np.bool_], Floats, NDArray[np.int64]]:
    """Whether each detection is matched [T, D] or ignored [T, D], its score [D], and its image [D]."""
    known = [(number, image) for number, image in enumerate(images) if image is not None]
    if not known:
        return np.zeros((1, 0), bool), np.zeros((1, 0), bool), np.zeros(0), np.zeros(0, np.int64)
    most = slice(_LARGE_DETECTIONS)
    matched = np.concatenate([image["dtMatches"][:, most] > 0 for _, image in known], axis=1)
    ignored = np.concatenate([image["dtIgnore"][:, most] > 0 for _, image in known], axis=1)
    scores = np.concatenate([np.asarray(image["dtScores"][most], np.float64) for _, image in known])
    counts = [len(image["dtScores"][most]) for _, image in known]
    owner = np.repeat(np.array([number for number, _ in known], np.int64), counts)
    return matched, ignored, scores, owner


def _mean_precision(recall: Floats, precision: Floats) -> float:
    """The mean of a falling precision [D] over the 101 recalls, 0 beyond the largest `recall` [D]."""
    places = np.searchsorted(recall, _LEVELS, side="left")
    return float(np.append(precision, 0.0)[places].mean())
