"""MACs and parameters in closed form, of one architecture or of many at once.

The numbers equal those of counting the built network, to the last digit. MACs are the
multiply-accumulates of convolutions and linear layers for one image. The published counting
of FBNetV3 differs and stands beside ours: it counts the weights of convolutions only, and adds
one operation per input element of every average pool.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from nars.spec import Architecture, Block
from nars.widths import hidden_width, squeeze_width

__all__ = ["Cost", "Row", "count", "count_rows", "rows_of"]

Ints = NDArray[np.int64]


@dataclass(frozen=True)
class Row:
    """A block row of n architectures: fields of `nars.spec.Block`, each an array [n] or a scalar.

    A row may have 0 repeats; then it is absent, and its channels must be those before it.
    """

    op: str
    channels: ArrayLike
    kernel: ArrayLike = 1
    stride: int = 1
    repeats: ArrayLike = 1
    expansion: ArrayLike = 1
    se: ArrayLike = False
    padding: ArrayLike = -1
    """Of the first block; -1 is kernel // 2."""
    squeeze_hidden: ArrayLike = False
    bare_depthwise: bool = False


@dataclass(frozen=True)
class Cost:
    """What one forward pass of one image takes; integers, or arrays [n] of them."""

    macs: Any = 0
    """Multiply-accumulates of convolutions and linear layers."""
    params: Any = 0
    """All learnable parameters."""
    published_flops: Any = 0
    """MACs of convolutions plus the input elements of average pools."""
    published_params: Any = 0
    """Weights of convolutions, without biases and norms."""

    def __add__(self, other: Cost) -> Cost:
        return Cost(
            self.macs + other.macs,
            self.params + other.params,
            self.published_flops + other.published_flops,
            self.published_params + other.published_params,
        )

    def times(self, repeats: Any) -> Cost:
        return Cost(
            self.macs * repeats,
            self.params * repeats,
            self.published_flops * repeats,
            self.published_params * repeats,
        )


def count(architecture: Architecture, resolution: int | None = None, num_classes: int = 1000) -> Cost:
    """The cost at `resolution` (a side in pixels; the architecture's own by default)."""
    side = resolution or architecture.resolution
    cost = count_rows(rows_of(architecture), side, architecture.in_channels, num_classes)
    return Cost(*(int(getattr(cost, field.name)) for field in fields(cost)))


def rows_of(architecture: Architecture) -> list[Row]:
    return [row_of(row) for stage in architecture.stages for row in stage]


def row_of(block: Block) -> Row:
    return Row(
        op=block.op,
        channels=block.channels,
        kernel=block.kernel or 1,
        stride=block.stride,
        repeats=block.repeats,
        expansion=block.expansion or 1,
        se=block.se != "none",
        padding=-1 if block.padding is None else block.padding,
        squeeze_hidden=block.squeeze == "hidden",
        bare_depthwise=block.depthwise == "bare",
    )


def count_rows(rows: Sequence[Row], resolution: ArrayLike, in_channels: int, num_classes: int) -> Cost:
    """The cost of n classifiers at once: fields are arrays [n]."""
    total, side, channels = Cost(), np.asarray(resolution, np.int64), np.asarray(in_channels, np.int64)
    for row in rows:
        cost, side, channels = count_row(row, side, channels)
        total += cost
    pool = Cost(published_flops=channels * side**2)  # published networks pool again after mbpool
    return total + pool + _conv(channels, num_classes, bias=True)


def count_row(row: Row, side: Ints, channels: Ints) -> tuple[Cost, Ints, Ints]:
    """The cost of a row of blocks, and the side and channels of its output."""
    out = np.asarray(row.channels, np.int64)
    if row.op == "mbpool":
        hidden = hidden_width(channels, row.expansion)
        pooled = Cost(published_flops=hidden * side**2)
        return _conv(channels, hidden, side) + _norm(hidden) + pooled + _conv(hidden, out), side * 0 + 1, out
    repeats = np.asarray(row.repeats, np.int64)
    kernel = np.asarray(row.kernel, np.int64)
    padding = np.asarray(row.padding, np.int64)
    padding = np.where(padding < 0, kernel // 2, padding)
    first_side = side * 2 if row.stride == -2 else _conv_side(side, kernel, row.stride, padding)
    present, others = repeats > 0, np.maximum(repeats - 1, 0)
    first = _block(row, channels, side, first_side)
    # The blocks after the first are those of most rows again; what is there already is not counted anew.
    alike = np.array_equal(channels, out) and np.array_equal(side, first_side)
    cost = first.times(repeats if alike else present)
    if not alike and others.any():
        cost += _block(row, out, first_side, first_side).times(others)
    return cost, np.where(present, first_side, side), np.where(present, out, channels)


def _block(row: Row, channels: Ints, side: Ints, out_side: Ints) -> Cost:
    out = np.asarray(row.channels, np.int64)
    kernel = np.asarray(row.kernel, np.int64)
    if row.op == "conv":
        return _conv(channels, out, out_side, kernel, bias=True) + _norm(out)
    hidden = hidden_width(channels, row.expansion)
    squeezed = squeeze_width(hidden, row.expansion, row.squeeze_hidden)
    widened, gated = hidden != channels, np.asarray(row.se)
    # Weights that run over the input's map, over the output's, and once.
    before = channels * hidden * widened
    after = hidden * (kernel**2 + out)
    once = 2 * hidden * squeezed * gated
    pixels = out_side**2
    weights, macs = before + after + once, before * side**2 + after * pixels + once
    normed = hidden * widened + out if row.bare_depthwise else hidden * (1 + widened) + out
    return Cost(
        macs, weights + 2 * normed + (hidden + squeezed) * gated, macs + hidden * pixels * gated, weights
    )


def _conv_side(side: Ints, kernel: Ints, stride: int, padding: Ints) -> Ints:
    return (side + 2 * padding - kernel) // stride + 1


def _conv(
    per_output: ArrayLike, out: ArrayLike, side: ArrayLike = 1, kernel: ArrayLike = 1, bias: bool = False
) -> Cost:
    """A kxk convolution whose every output reads `per_output` channels; a linear layer at side 1."""
    out_channels = np.asarray(out, np.int64)
    weights = np.asarray(per_output, np.int64) * out_channels * np.asarray(kernel, np.int64) ** 2
    macs = weights * np.asarray(side, np.int64) ** 2
    return Cost(macs, weights + out_channels * bias, macs, weights)


def _norm(channels: Ints) -> Cost:
    return Cost(params=2 * channels)
