"""MACs and parameters of many genotypes of a space of detectors at once."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from detector.model.cost import DetectorRows
from detector.model.resizing import longest
from detector.model.settings import Settings
from detector.space.declaration import Declaration
from nars.space.batch_cost import CHUNK, ROW_NUMBERS, Numbers, RowNumbers
from nars.space.block_rows import BlockRows
from nars.space.costs import Costs
from nars.space.dimensions import is_recipe
from nars.space.genotypes import Matrix
from nars.space.rows import RowSpace

__all__ = ["SpaceCost"]

_PLAIN = ("resolution", "pooler_resolution", "proposals", "sizes", "ratios", "fpn")
"""Values of the detector that enter the cost as they are; no pyramid counts as 0 channels."""


class SpaceCost:
    """Counts whole detectors, at their shorter x longer side and the proposals they keep."""

    def __init__(self, space: Declaration) -> None:
        self._space = space
        self._styles = list(space.styles)
        self._numbers = Numbers(space.distributions, space.fixed, self._number_of)
        self._trunk = [_Part(stage, self._numbers) for stage in space.trunk]
        self._rpn, self._box = _Part(space.rpn, self._numbers), _Part(space.box, self._numbers)
        self._mask = _Part(space.mask, self._numbers) if space.mask else None

    def __call__(self, matrix: Matrix) -> Costs:
        """MACs and parameters [n] of genotypes [n, d]."""
        starts = range(0, max(len(matrix), 1), CHUNK)
        return Costs.joined([self._count(matrix[start : start + CHUNK]) for start in starts])

    def _count(self, matrix: Matrix) -> Costs:
        values = self._numbers(matrix)

        def whole(name: str) -> NDArray[np.int64]:
            return np.asarray(values[self._numbers.rows[name]], dtype=np.int64)

        style = self._styled(values)
        settings = Settings.model_fields
        side = whole("resolution")
        rows = DetectorRows(
            trunk=[part(values, style) for part in self._trunk],
            rpn=self._rpn(values, style),
            box=self._box(values, style),
            mask=None if self._mask is None else self._mask(values, style),
            fpn=whole("fpn"),
            shape=(side, np.array([longest(each) for each in range(side.max(initial=0) + 1)])[side]),
            anchors=whole("sizes") * whole("ratios"),
            pooler=whole("pooler_resolution"),
            proposals=whole("proposals"),
            mask_pooler=settings["mask_pooler_resolution"].default,
            detections=settings["detections"].default,
        )
        costs = rows.count(self._space.num_classes)
        return Costs(costs.macs, costs.params, costs.macs, costs.params)

    def _number_of(self, name: str) -> Callable[[Any], float] | None:
        """How a value becomes a number; None if it does not enter the cost."""
        first, *rest = name.split(".")
        if is_recipe(name):
            return None
        if rest:
            return ROW_NUMBERS.get(rest[0])
        if first == "style":
            return lambda style: float(self._styles.index(style)) if self._styles else 0.0
        return (lambda value: float(value or 0)) if first in _PLAIN else None

    def _styled(self, values: NDArray[np.float64]) -> NDArray[np.bool_] | None:
        """For each genotype [3, n] of its style: squeeze of hidden channels, bare depthwise, bias."""
        if not self._styles:
            return None
        styles = self._space.styles.values()
        flags = [(style.squeeze == "hidden", style.depthwise == "bare", style.bias) for style in styles]
        chosen = values[self._numbers.rows["style"]].astype(np.int64)
        return np.array(flags, dtype=bool).T[:, chosen]


class _Part:
    """The rows of one part of the detector."""

    def __init__(self, rows: tuple[RowSpace, ...], numbers: Numbers) -> None:
        self._read = RowNumbers(rows, numbers)

    def __call__(self, values: NDArray[np.float64], style: NDArray[np.bool_] | None) -> BlockRows:
        rows = self._read(values)
        if style is None:
            return rows
        squeeze, bare, bias = np.broadcast_to(style[:, None], (3, len(rows.op), values.shape[1]))
        own = np.full_like(rows.padding, -1)  # no style has whole numbers of pixels
        return replace(rows, squeeze_hidden=squeeze, bare_depthwise=bare, bias=bias, padding=own)
