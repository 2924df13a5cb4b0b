"""Computes MACs and parameters of a detector in closed form, from its parts and settings.

The numbers equal those counted in the built network, to the last digit. MACs are the
multiply-accumulates of convolutions and linear layers for one square image. Each head is counted
with as many regions as the settings allow, `test_proposals` for boxes and `detections` for
masks, which is more than a real image usually has.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from detector.model.detector import Detector
from detector.model.parts import Parts
from detector.model.settings import Settings
from nars.space.block_rows import rows_of
from nars.space.cost import count_rows
from nars.spec import Block

__all__ = ["DetectorCost", "count"]


@dataclass(frozen=True)
class DetectorCost:
    """The cost of one forward pass of one square image."""

    side: int
    """Pixels of the image's side."""
    trunk: int
    """MACs of the trunk, and of the pyramid if there is one."""
    rpn: int
    """MACs of the region proposal network."""
    box: int
    """MACs of the box head, for all proposals together."""
    mask: int
    """MACs of the mask head, for all detections together; 0 without one."""
    params: int
    """Learnable numbers of the whole detector."""

    @property
    def macs(self) -> int:
        """MACs of the whole detector."""
        return self.trunk + self.rpn + self.box + self.mask


def count(model: Detector, side: int | None = None, proposals: int | None = None) -> DetectorCost:
    """Return the cost of an image of `side` pixels with `proposals` regions for the box head.

    By default these are the largest `shortest` and the `test_proposals` of the settings.
    """
    parts, settings = model.parts, model.settings
    side = side or max(settings.shortest)
    trunk, map_sides = _trunk(parts, side)
    proposals = settings.test_proposals if proposals is None else proposals
    return DetectorCost(
        side=side,
        trunk=trunk,
        rpn=sum(_rpn(parts, settings, map_side) for map_side in map_sides),
        box=proposals * _box(parts, settings, model.num_classes),
        mask=settings.detections * _mask(parts, settings, model.num_classes) if settings.mask else 0,
        params=sum(parameter.numel() for parameter in model.parameters()),
    )


def _trunk(parts: Parts, side: int) -> tuple[int, list[int]]:
    """Return MACs, and the sides of the maps that the RPN sees."""
    total, channels, sides, widths = 0, 3, [], []
    for rows in parts.trunk:
        macs, side, channels = _rows(rows, side, channels)
        total += macs
        sides.append(side)
        widths.append(channels)
    if parts.fpn is None:
        return total, sides[-1:]
    for side, width in zip(sides[1:], widths[1:], strict=True):
        total += side**2 * (width * parts.fpn + 9 * parts.fpn**2)
    return total, [*sides[1:], (sides[-1] + 1) // 2]


def _rpn(parts: Parts, settings: Settings, side: int) -> int:
    """Return the MACs of the RPN on one map."""
    macs, side, channels = _rows(parts.rpn, side, parts.channels)
    return macs + side**2 * channels * 5 * settings.anchors_per_cell


def _box(parts: Parts, settings: Settings, num_classes: int) -> int:
    """Return the MACs of one proposal: the head, then K + 1 scores and 4 * K deltas."""
    macs, _, channels = _rows(parts.box, settings.pooler_resolution, parts.channels)
    return macs + channels * (5 * num_classes + 1)


def _mask(parts: Parts, settings: Settings, num_classes: int) -> int:
    """Return the MACs of one detection's mask."""
    assert parts.mask is not None
    macs, side, channels = _rows(parts.mask, settings.mask_pooler_resolution, parts.channels)
    return macs + side**2 * channels * num_classes


def _rows(rows: Sequence[Block], side: Any, channels: Any) -> tuple[int, int, int]:
    """Return MACs, and the side and channels of the last row's output."""
    cost, out_side, out_channels = count_rows(rows_of(rows), side, channels)
    return int(cost.macs[0]), int(out_side[0]), int(out_channels[0])
