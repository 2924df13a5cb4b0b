"""The search space of a parent: the detectors that it has the weights for, and how these are trained.

Rows of blocks are open as in `nars.parents.space`: depth, hidden channels, widths and kernels, each from a
fraction of the parent's up to its own. So are the sides of images and regions, proposals, anchors, and the
stages that are frozen. A pyramid would start from nothing, so the parent's stays as it is.
"""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from typing import Any

import numpy as np

from detector.data.records import CocoData
from detector.model.cost import count_parts
from detector.model.parts import Parts, by_stages
from detector.model.resizing import longest, own_side
from detector.model.settings import Settings
from detector.space.candidate import DetectorCandidate
from detector.space.decoding import OF_SETTINGS, anchors
from detector.space.inverse import encode_recipe
from detector.space.lengths import epochs
from detector.space.reference import BOX_SAMPLES
from detector.space.space import DetectorSpace
from detector.weights.parents import DetectorParent
from nars.errors import SpecError
from nars.parents.space import open_rows
from nars.parents.space.cuts import nearest_recipe
from nars.space.genotypes import Genotype
from nars.space.values import Range, Value, nearest

__all__ = ["frozen", "image_side", "proposals_for", "space_of", "wholes_of"]

_LEAST_SIDE, _MOST_SIDE, _STEP = 128, 320, 32
"""Shorter sides of images in pixels: from, to and step. Smaller photos are seen as they are."""

_USEFUL_MACS = 3.0
"""Larger sides are left out if the parent has more MACs there than this factor times the limit: a search has
better use for its trainings than detectors of which less than a third is left."""

_PROPOSALS = 10
"""Proposals that sides are judged with: few, so that no side is left out which some candidate can use."""

_MOST_FROZEN = 2
"""The most stages of a trunk that a training leaves as they are."""

_RECIPE: dict[str, Any] = {
    "optimizer": "sgd",
    "lr": {"low": 0.01, "high": 0.24, "log": True},
    "weight_decay": {"low": 1e-5, "high": 1e-3, "log": True},
    "batch_size": 4,
    "warmup_epochs": 0.5,
    "ema": True,
    "ema_decay": {"low": 0.95, "high": 0.995},
    "flip": 0.5,
    "jitter": {"low": 0.0, "high": 0.4},
    "photometric": {"low": 0.0, "high": 0.6},
    "mosaic": {"low": 0.0, "high": 0.3},
    "box_samples": BOX_SAMPLES,
    "box_iou": {"low": 0.4, "high": 0.6},
    "rpn_iou": {"low": 0.5, "high": 0.7},
}
"""Recipes of short trainings that start from weights; `detector.space.lengths` says how long they are. Short
ones want low rates, and detectors that inherit little want high ones (``experiments.detector_heirs``)."""

_SPARE, _FEWEST, _CROWDED = 2.0, 6, 0.95
"""Proposals per object, and the fewest; for this share of the images they are enough."""

_OF_RECIPE = tuple(field for fields in OF_SETTINGS.values() for field in fields)
"""Settings that belong to the recipe of a space."""


def space_of(
    parent: DetectorParent, heads: DetectorSpace, data: CocoData, max_macs: float | None
) -> DetectorSpace:
    """The space of the detectors that inherit from a parent, for these data and within a limit.

    `heads` has the other dimensions of a detector, and a mask head if the parent has none.
    """
    parts = by_stages(parent.parts)
    names = ["stem", *(f"stage{index}" for index in range(1, len(parts.trunk)))]
    if parts.mask is not None:
        mask: Sequence[Any] = open_rows("mask", parts.mask)
    else:
        mask = [row.replace(activation=parts.trunk[-1][-1].activation) for row in heads.mask]
    return DetectorSpace(
        name=f"from_{parts.name}",
        resolution=_sides(parts, data, max_macs),
        pooler_resolution=heads.pooler_resolution,
        proposals=heads.proposals,
        sizes=heads.sizes,
        ratios=heads.ratios,
        fpn=parts.fpn,
        norm_eps=parts.norm_eps,
        norm_momentum=parts.norm_momentum,
        trunk=[open_rows(*pair) for pair in zip(names, parts.trunk, strict=True)],
        rpn=open_rows("rpn", parts.rpn),
        box=open_rows("box", parts.box),
        mask=mask,
        recipe=_RECIPE | {"freeze": frozen(len(parts.trunk)), "epochs": epochs(len(data.train.images))},
    )


def frozen(stages: int) -> Value:
    """How many stages of a trunk that has so many, from the first, a training leaves as they are."""
    return Range(low=0, high=min(_MOST_FROZEN, stages))


def image_side(data: CocoData) -> int:
    """The median of the shorter sides, in pixels, at which the training images are as large as they are."""
    sides = sorted(own_side(image.height, image.width) for image in data.train.images)
    return sides[len(sides) // 2]


def _sides(parts: Parts, data: CocoData, max_macs: float | None) -> Value:
    """The shorter sides of the space."""
    shown = image_side(data)
    least = min(_LEAST_SIDE, max(_STEP, shown // _STEP * _STEP))
    offered = range(least, min(_MOST_SIDE, shown + _STEP - 1) + 1, _STEP)
    high = max((side for side in offered if _is_useful(parts, side, max_macs, data)), default=least)
    return least if high == least else Range(low=least, high=high, step=_STEP)


def _is_useful(parts: Parts, side: int, max_macs: float | None, data: CocoData) -> bool:
    if max_macs is None:
        return True
    maps = 1 if parts.fpn is None else len(parts.trunk)
    settings = Settings(
        shortest=(side,), longest=longest(side), test_proposals=_PROPOSALS, **anchors(maps, 5, 3)
    )
    return count_parts(parts, settings, len(data.classes)).macs <= _USEFUL_MACS * max_macs


def proposals_for(data: CocoData) -> int:
    """How many regions of an image the box head has to see to find nearly all objects, crowds aside."""
    by_image = data.train.by_image
    objects = [sum(not each.crowd for each in by_image[image.id]) for image in data.train.images]
    return max(_FEWEST, round(_SPARE * float(np.quantile(objects, _CROWDED))))


def wholes_of(space: DetectorSpace, detector: DetectorCandidate, proposals: int) -> list[Genotype]:
    """Genotypes of a detector at each resolution of the space, the largest first, with so many proposals.

    What the space does not have of the recipe, or of proposals, becomes the nearest that it has. The list is
    empty if the detector is not in the space otherwise.
    """
    values = encode_recipe(space, detector.recipe, detector.settings)
    allowed = space.decode(nearest_recipe(space, values))
    settings = detector.settings.replace(**{name: getattr(allowed.settings, name) for name in _OF_RECIPE})
    if "proposals" in space.distributions:
        kept = nearest(space.distributions["proposals"], proposals)
        settings = settings.replace(test_proposals=kept)
    found = []
    for side in reversed(space.sides):
        sized = settings.replace(shortest=(side,), longest=longest(side))
        whole = detector.replace(recipe=allowed.recipe, settings=sized)
        with contextlib.suppress(SpecError):  # it is not in the space
            found.append(space.encode(whole))
    return found
