"""MACs and parameters in closed form, for one architecture or for many at once.

The numbers exactly match those counted on the built network. MACs are the
multiply-accumulates of convolutions and linear layers for one image. The published figures
of FBNetV3 are given next to ours: their parameters are the weights of convolutions and of the classifier
only, without biases and norms; their FLOPs are MACs plus one operation per input element of every
average pool.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from nars.space.block_rows import BlockRows, rows_of
from nars.space.costs import Cost, Costs
from nars.space.widths import hidden_width, squeeze_width
from nars.spec import Architecture

__all__ = ["Maps", "count", "count_classifier", "count_maps", "count_rows"]

Ints = NDArray[np.int64]


def count(architecture: Architecture, resolution: int | None = None, num_classes: int = 1000) -> Cost:
    """The cost at `resolution` (a side in pixels; the architecture's own by default)."""
    blocks = [row for stage in architecture.stages for row in stage]
    side_in = resolution or architecture.resolution
    costs, side, channels = count_rows(rows_of(blocks), side_in, architecture.in_channels)
    return (costs + count_classifier(side, channels, num_classes)).at(0)


class Maps(NamedTuple):
    """The maps [n, channels, height, width] of n architectures, as numbers [n] each."""

    height: Ints
    width: Ints
    channels: Ints

    @property
    def pixels(self) -> Ints:
        return self.height * self.width


def count_rows(rows: BlockRows, side: ArrayLike, channels: ArrayLike) -> tuple[Costs, Ints, Ints]:
    """The costs [n] of rows applied to maps of this side and channels; both [n] of their output, too."""
    costs, sides, widths = _count(rows, [np.asarray(side, np.int64)], channels)
    return costs, sides[0], widths


def count_maps(rows: BlockRows, maps: Maps) -> tuple[Costs, Maps]:
    """The costs [n] of rows applied to maps of any shape, and the shapes of their output."""
    costs, (height, width), channels = _count(rows, [maps.height, maps.width], maps.channels)
    return costs, Maps(height, width, channels)


def _count(rows: BlockRows, inputs: Sequence[Ints], channels: ArrayLike) -> tuple[Costs, list[Ints], Ints]:
    """The costs [n], and sides and channels of the output; `inputs` is a square's side, or two sides."""
    count = rows.channels.shape[1]
    widths = np.vstack([np.broadcast_to(np.asarray(channels, np.int64), count), rows.channels])
    sides = [_sides(rows, side, count) for side in inputs]
    pixels = sides[0] * sides[-1]
    total = Costs(*np.zeros((4, count), np.int64))
    for kind, formula in _FORMULAS.items():
        if same := [row for row, op in enumerate(rows.op) if op == kind]:
            each = formula(rows.subset(same), widths[:-1][same], pixels[:-1][same], pixels[1:][same])
            total += each.summed(rows.repeats[same])
    return total, [side[-1] for side in sides], widths[-1]


def _sides(rows: BlockRows, side: Ints, count: int) -> Ints:
    """One side [rows + 1, n] of the input of the first row and of the output of each."""
    sides = np.empty((len(rows.op) + 1, count), np.int64)
    sides[0] = side
    lost = rows.kernel - 2 * np.where(rows.padding < 0, rows.kernel // 2, rows.padding)
    for row, (op, stride) in enumerate(zip(rows.op, rows.stride, strict=True)):
        if op == "mbpool":
            sides[row + 1] = 1
        else:
            widened = sides[row] * 2 if stride == -2 else sides[row]
            sides[row + 1] = (widened - lost[row]) // max(stride, 1) + 1
    return sides


def count_classifier(side: ArrayLike, channels: ArrayLike, num_classes: int) -> Costs:
    """The costs [n] of what follows the last row: an average over its map, and a linear layer."""
    side, channels = np.asarray(side, np.int64), np.asarray(channels, np.int64)
    weights = channels * num_classes
    pooled = channels * side**2  # published networks pool again after mbpool
    return Costs(weights, weights + num_classes, weights + pooled, weights)


def _conv(rows: BlockRows, channels: Ints, pixels: Ints, out_pixels: Ints) -> Costs:
    weights = channels * rows.kernel**2 * rows.channels
    macs = weights * out_pixels
    return Costs(macs, weights + (2 + rows.bias) * rows.channels, macs, weights)  # two are the norm's


def _mbconv(rows: BlockRows, channels: Ints, pixels: Ints, out_pixels: Ints) -> Costs:
    hidden = hidden_width(channels, rows.expansion)
    squeezed = squeeze_width(hidden, rows.expansion, rows.squeeze_hidden)
    widened = hidden != channels
    # Weights that run over the input's map, over the output's, and once.
    before = channels * hidden * widened
    after = hidden * (rows.kernel**2 + rows.channels)
    once = 2 * hidden * squeezed * rows.se
    weights, macs = before + after + once, before * pixels + after * out_pixels + once
    normed = hidden * widened + hidden * ~rows.bare_depthwise + rows.channels
    params = weights + 2 * normed + (hidden + squeezed) * rows.se
    return Costs(macs, params, macs + hidden * out_pixels * rows.se, weights)


def _mbpool(rows: BlockRows, channels: Ints, pixels: Ints, out_pixels: Ints) -> Costs:
    hidden = hidden_width(channels, rows.expansion)
    before, after = channels * hidden, hidden * rows.channels
    macs, weights = before * pixels + after, before + after
    return Costs(macs, weights + 2 * hidden, macs + hidden * pixels, weights)


_FORMULAS: dict[str, Callable[[BlockRows, Ints, Ints, Ints], Costs]] = {
    "conv": _conv,
    "mbconv": _mbconv,
    "mbpool": _mbpool,
}
"""Costs [rows, n] of one block of each row, from its input's channels and pixels and its output's pixels."""
