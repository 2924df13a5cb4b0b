"""Says beforehand which boxes detectors will miss, and at which size of images they would not."""

from __future__ import annotations

import math
from collections.abc import Callable

from optuna.distributions import CategoricalDistribution

from detector.data.faults.small_boxes import FINEST, side_that_shows, unseen
from detector.data.records import Annotation, CocoData, ImageRecord
from detector.model.detector import Detector
from detector.model.resizing import longest, own_side
from detector.space.space import DetectorSpace
from nars.foreign.parts import counted

__all__ = ["remarks", "remarks_on"]

_CELLS = 2
"""Side of the finest anchor in cells of its map; smaller ones overlap too little with boxes between cells."""


def remarks(space: DetectorSpace, data: CocoData) -> list[str]:
    """A sentence about boxes below the finest anchors at the largest size searched, if there are any."""
    pyramids = [channels is not None for channels in _pyramids(space)]
    plain = float(_CELLS * 2 ** sum(row.stride == 2 for stage in space.trunk for row in stage))
    finest = min(FINEST, plain) if any(pyramids) else plain
    side = max(space.sides)
    at = f"largest input size searched, {side}"
    said = [_sentence(data, side, longest, finest, at)]
    if any(pyramids) and not all(pyramids) and said == [None]:
        missed = _sentence(data, side, longest, plain, at)
        said = [missed and f"without a pyramid, {missed}"]
    return [sentence for sentence in said if sentence is not None]


def remarks_on(model: Detector, data: CocoData) -> list[str]:
    """A sentence about boxes below the finest anchors of a detector before its training, if any are."""
    side, most = max(model.settings.shortest), model.settings.longest
    finest = float(_CELLS * min(model.backbone.strides))
    said = _sentence(data, side, lambda shorter: round(most * shorter / side), finest, f"input size {side}")
    return [] if said is None else [said]


def _sentence(data: CocoData, side: int, longest: Callable[[int], int], finest: float, at: str) -> str | None:
    """A sentence about boxes too small at this shorter side, with one that would do; None without any."""
    small = [pair for subset in (data.train, data.val) for pair in unseen(subset, side, longest, finest)]
    if not small:
        return None
    boxes = sum(not box.crowd for subset in (data.train, data.val) for box in subset.annotations)
    enough = side_that_shows(small, longest, finest)
    remedy = "no size would do" if enough is None else f"a shorter side of {enough} would do"
    if enough is not None and len(small) > 1:
        most = side_that_shows(sorted(small, key=_share)[len(small) // 2 :], longest, finest)
        remedy += f", {most} for half of them" if most != enough else ""
    annotation, image = min(small, key=_share)
    scale = min(side / min(image.width, image.height), longest(side) / max(image.width, image.height))
    size = " x ".join(f"{length * scale:.3g}" for length in annotation.box[2:])
    few = f"{len(small)} of {counted(boxes, 'box')} {'is' if len(small) == 1 else 'are'} too small"
    anchors = f"the finest anchors, of {finest:g} pixels, at the {at}"
    return f"{few} for {anchors}: {remedy} (the smallest, {size} pixels there, is in {image.file})"


def _share(pair: tuple[Annotation, ImageRecord]) -> float:
    """The size of a box as a share of the shorter side at which its image is as large as it is."""
    annotation, image = pair
    return math.sqrt(annotation.box[2] * annotation.box[3]) / own_side(image.height, image.width)


def _pyramids(space: DetectorSpace) -> tuple[object, ...]:
    """The pyramids of the space by their channels; None is a detector without one."""
    dist = space.distributions.get("fpn")
    if dist is None:
        return (space.fixed["fpn"],)
    assert isinstance(dist, CategoricalDistribution), dist
    return tuple(dist.choices)
