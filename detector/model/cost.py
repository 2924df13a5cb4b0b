"""Computes MACs and parameters of detectors in closed form, of one or of many at once.

The numbers equal those counted in the built network, to the last digit. MACs are the
multiply-accumulates of convolutions and linear layers for one image of the largest shape that the
settings allow, `shortest` x `longest`. Each head is counted with as many regions as the settings
allow, `test_proposals` for boxes and `detections` for masks, which is more than a real image usually
has.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from detector.model.parts import Parts
from detector.model.settings import Settings
from nars.space.block_rows import BlockRows, rows_of
from nars.space.cost import Maps, count_maps

if TYPE_CHECKING:
    from detector.model.detector import Detector  # which imports torch

__all__ = ["DetectorCost", "DetectorCosts", "DetectorRows", "count", "count_parts"]

Ints = NDArray[np.int64]


@dataclass(frozen=True)
class DetectorCost:
    """The cost of one forward pass of one image."""

    side: int
    """Pixels of the image's shorter side."""
    longer: int
    """Pixels of its longer side."""
    trunk: int
    """MACs of the trunk, and of the pyramid if there is one."""
    rpn: int
    """MACs of the region proposal network."""
    box: int
    """MACs of the box head, for all proposals together."""
    mask: int
    """MACs of the mask head, for all detections together; 0 without one."""
    params: int
    """Learnable parameters of the whole detector."""

    @property
    def macs(self) -> int:
        """MACs of the whole detector."""
        return self.trunk + self.rpn + self.box + self.mask


def count(model: Detector) -> DetectorCost:
    """Return the cost of an image of the largest shape that the settings allow.

    Norms count as those that learn, ``frozen_bn`` too.
    """
    return count_parts(model.parts, model.settings, model.num_classes)


def count_parts(parts: Parts, settings: Settings, num_classes: int) -> DetectorCost:
    """Return the cost of a detector that is not built."""
    side, longer = max(settings.shortest), settings.longest
    rows = DetectorRows(
        trunk=[rows_of(stage) for stage in parts.trunk],
        rpn=rows_of(parts.rpn),
        box=rows_of(parts.box),
        mask=rows_of(parts.mask) if parts.mask is not None and settings.mask else None,
        fpn=_number(parts.fpn or 0),
        shape=(_number(side), _number(longer)),
        anchors=_number(settings.anchors_per_cell),
        pooler=_number(settings.pooler_resolution),
        proposals=_number(settings.test_proposals),
        mask_pooler=settings.mask_pooler_resolution,
        detections=settings.detections,
    )
    costs = rows.count(num_classes)
    trunk, rpn, box, mask, params = (
        int(values[0]) for values in (costs.trunk, costs.rpn, costs.box, costs.mask, costs.params)
    )
    return DetectorCost(side, longer, trunk, rpn, box, mask, params)


def _number(value: int) -> Ints:
    return np.array([value], dtype=np.int64)


@dataclass(frozen=True, eq=False)
class DetectorCosts:
    """The `DetectorCost` of n detectors at once, as arrays [n]."""

    trunk: Ints
    rpn: Ints
    box: Ints
    mask: Ints
    params: Ints

    @property
    def macs(self) -> Ints:
        """MACs of the whole detectors."""
        return self.trunk + self.rpn + self.box + self.mask


@dataclass(frozen=True, eq=False)
class DetectorRows:
    """Parts and settings of n detectors at once, as arrays [n]."""

    trunk: Sequence[BlockRows]
    """Stages of the trunk."""
    rpn: BlockRows
    box: BlockRows
    mask: BlockRows | None
    fpn: Ints
    """Channels of the pyramid; 0 is none."""
    shape: tuple[Ints, Ints]
    """Shorter and longer side of the image."""
    anchors: Ints
    """Anchors at each cell."""
    pooler: Ints
    """Side of the regions of the box head."""
    proposals: Ints
    """Regions of the box head."""
    mask_pooler: int
    """Side of the regions of the mask head."""
    detections: int
    """Regions of the mask head."""

    def count(self, num_classes: int) -> DetectorCosts:
        """Return the costs of detectors of this many classes."""
        trunk, params, maps, pyramid_maps = self._trunk()
        channels = np.where(self.fpn > 0, self.fpn, maps.channels)
        pyramid, pyramid_params, levels = self._pyramid(pyramid_maps)
        single = Maps(maps.height, maps.width, channels)
        rpn, rpn_params = self._rpn(single)
        coarse = [self._rpn(Maps(level.height, level.width, channels))[0] for level in levels]
        has_pyramid = self.fpn > 0
        box, box_params = self._box(channels, num_classes)
        mask, mask_params = self._mask(channels, num_classes)
        return DetectorCosts(
            trunk=trunk + np.where(has_pyramid, pyramid, 0),
            rpn=np.where(has_pyramid, sum(coarse), rpn),
            box=self.proposals * box,
            mask=self.detections * mask,
            params=params + rpn_params + box_params + mask_params + np.where(has_pyramid, pyramid_params, 0),
        )

    def _trunk(self) -> tuple[Ints, Ints, Maps, list[Maps]]:
        """Return MACs, parameters, the last map and those of all stages."""
        count = len(self.fpn)
        stride = 2 ** sum(row == 2 for stage in self.trunk for row in stage.stride)
        # A pyramid needs maps that double exactly, so images are padded for it.
        height, width = (np.where(self.fpn > 0, -(-side // stride) * stride, side) for side in self.shape)
        maps = Maps(height, width, np.full(count, 3, np.int64))
        macs, params, stages = np.zeros(count, np.int64), np.zeros(count, np.int64), []
        for rows in self.trunk:
            costs, maps = count_maps(rows, maps)
            macs, params = macs + costs.macs, params + costs.params
            stages.append(maps)
        return macs, params, maps, stages

    def _pyramid(self, stages: Sequence[Maps]) -> tuple[Ints, Ints, list[Maps]]:
        """Return MACs and parameters of the pyramid over all stages but the first, and its maps."""
        macs, params = np.zeros_like(self.fpn), np.zeros_like(self.fpn)
        for maps in stages[1:]:
            weights = maps.channels * self.fpn + 9 * self.fpn**2
            macs, params = macs + maps.pixels * weights, params + weights + 4 * self.fpn
        last = stages[-1]
        coarsest = Maps((last.height + 1) // 2, (last.width + 1) // 2, last.channels)
        return macs, params, [*stages[1:], coarsest]

    def _rpn(self, maps: Maps) -> tuple[Ints, Ints]:
        """Return MACs and parameters of the RPN on one map."""
        costs, out = count_maps(self.rpn, maps)
        predictors = out.channels * 5 * self.anchors
        return costs.macs + out.pixels * predictors, costs.params + predictors + 5 * self.anchors

    def _box(self, channels: Ints, num_classes: int) -> tuple[Ints, Ints]:
        """Return MACs of one proposal, and parameters: the head, then K + 1 scores and 4 * K deltas."""
        costs, out = count_maps(self.box, Maps(self.pooler, self.pooler, channels))
        outputs = 5 * num_classes + 1
        return costs.macs + out.channels * outputs, costs.params + (out.channels + 1) * outputs

    def _mask(self, channels: Ints, num_classes: int) -> tuple[Ints, Ints]:
        """Return MACs of one detection's mask, and parameters; 0 without a mask head."""
        if self.mask is None:
            return np.zeros_like(channels), np.zeros_like(channels)
        side = np.full_like(channels, self.mask_pooler)
        costs, out = count_maps(self.mask, Maps(side, side, channels))
        macs = costs.macs + out.pixels * out.channels * num_classes
        return macs, costs.params + (out.channels + 1) * num_classes
