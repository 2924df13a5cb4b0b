"""MACs and parameters in closed form, for one architecture or for many at once.

The numbers equal those of counting the built network, to the last digit. MACs are the
multiply-accumulates of convolutions and linear layers for one image. The published counting
of FBNetV3 differs and is given next to ours: it counts the weights of convolutions only, and adds
one operation per input element of every average pool.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from nars.space.widths import hidden_width, squeeze_width
from nars.spec import Architecture, Block

__all__ = ["BlockRows", "Cost", "Costs", "count", "count_classifier", "count_rows", "rows_of"]

Ints = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class BlockRows:
    """Rows of blocks, one after the other, of n architectures at once: `nars.spec.Block` as arrays.

    A row is `repeats` equal blocks. Since only the first block of a `Block` row has its stride, it is a
    row of its own here, and the blocks after it are another (`rows_of`).
    """

    op: Sequence[Literal["conv", "mbconv", "mbpool"]]
    """[rows], as is `stride`."""
    stride: Sequence[int]
    channels: Ints
    """[rows, n] or [rows, 1], as are all that follow."""
    kernel: Ints
    repeats: Ints
    expansion: NDArray[np.float64]
    se: NDArray[np.bool_]
    padding: Ints
    """-1 is kernel // 2."""
    squeeze_hidden: NDArray[np.bool_]
    bare_depthwise: NDArray[np.bool_]

    def subset(self, rows: Sequence[int]) -> BlockRows:
        """Some of the rows, by their numbers."""
        return BlockRows(
            op=[self.op[row] for row in rows],
            stride=[self.stride[row] for row in rows],
            channels=self.channels[rows],
            kernel=self.kernel[rows],
            repeats=self.repeats[rows],
            expansion=self.expansion[rows],
            se=self.se[rows],
            padding=self.padding[rows],
            squeeze_hidden=self.squeeze_hidden[rows],
            bare_depthwise=self.bare_depthwise[rows],
        )


@dataclass(frozen=True)
class Cost:
    """The cost of one forward pass of one image."""

    macs: int = 0
    """Multiply-accumulates of convolutions and linear layers."""
    params: int = 0
    """All learnable parameters."""
    published_flops: int = 0
    """MACs of convolutions plus the input elements of average pools."""
    published_params: int = 0
    """Weights of convolutions, without biases and norms."""

    def __add__(self, other: Cost) -> Cost:
        return Cost(
            self.macs + other.macs,
            self.params + other.params,
            self.published_flops + other.published_flops,
            self.published_params + other.published_params,
        )


@dataclass(frozen=True, eq=False)
class Costs:
    """The `Cost` of n architectures at once: arrays [n], or [rows, n] before `summed`."""

    macs: Ints
    params: Ints
    published_flops: Ints
    published_params: Ints

    def __add__(self, other: Costs) -> Costs:
        return Costs(
            self.macs + other.macs,
            self.params + other.params,
            self.published_flops + other.published_flops,
            self.published_params + other.published_params,
        )

    def at(self, index: int) -> Cost:
        """The cost of one architecture."""
        return Cost(
            int(self.macs[index]),
            int(self.params[index]),
            int(self.published_flops[index]),
            int(self.published_params[index]),
        )

    def summed(self, repeats: Ints) -> Costs:
        """The costs [n] of all rows together, each counted `repeats` times [rows, n]."""
        return Costs(
            (self.macs * repeats).sum(axis=0),
            (self.params * repeats).sum(axis=0),
            (self.published_flops * repeats).sum(axis=0),
            (self.published_params * repeats).sum(axis=0),
        )

    @classmethod
    def joined(cls, parts: Sequence[Costs]) -> Costs:
        """The costs of several groups of architectures, one group after the other."""
        return cls(
            np.concatenate([part.macs for part in parts]),
            np.concatenate([part.params for part in parts]),
            np.concatenate([part.published_flops for part in parts]),
            np.concatenate([part.published_params for part in parts]),
        )


def count(architecture: Architecture, resolution: int | None = None, num_classes: int = 1000) -> Cost:
    """The cost at `resolution` (a side in pixels; the architecture's own by default)."""
    blocks = [row for stage in architecture.stages for row in stage]
    side_in = resolution or architecture.resolution
    costs, side, channels = count_rows(rows_of(blocks), side_in, architecture.in_channels)
    return (costs + count_classifier(side, channels, num_classes)).at(0)


def rows_of(blocks: Sequence[Block]) -> BlockRows:
    """The rows of one architecture, with n = 1."""
    single: list[tuple[Block, int]] = []
    for block in blocks:
        single.append((block, 1))
        if block.repeats > 1:
            single.append((block.single(1), block.repeats - 1))

    def column(value: Callable[[Block], Any], dtype: type) -> NDArray[Any]:
        return np.array([value(block) for block, _ in single], dtype=dtype)[:, None]

    return BlockRows(
        op=[block.op for block, _ in single],
        stride=[block.stride for block, _ in single],
        channels=column(lambda block: block.channels, np.int64),
        kernel=column(lambda block: block.kernel or 1, np.int64),
        repeats=np.array([repeats for _, repeats in single], dtype=np.int64)[:, None],
        expansion=column(lambda block: block.expansion or 1, np.float64),
        se=column(lambda block: block.se != "none", np.bool_),
        padding=column(lambda block: -1 if block.padding is None else block.padding, np.int64),
        squeeze_hidden=column(lambda block: block.squeeze == "hidden", np.bool_),
        bare_depthwise=column(lambda block: block.depthwise == "bare", np.bool_),
    )


def count_rows(rows: BlockRows, side: ArrayLike, channels: ArrayLike) -> tuple[Costs, Ints, Ints]:
    """The costs [n] of rows that read maps of a side and channels; side and channels [n] of their output."""
    count = rows.channels.shape[1]
    widths = np.vstack([np.broadcast_to(np.asarray(channels, np.int64), count), rows.channels])
    sides = np.empty_like(widths)
    sides[0] = side
    padding = np.where(rows.padding < 0, rows.kernel // 2, rows.padding)
    lost = rows.kernel - 2 * padding
    for row, (op, stride) in enumerate(zip(rows.op, rows.stride, strict=True)):
        if op == "mbpool":
            sides[row + 1] = 1
        else:
            sides[row + 1] = sides[row] * 2 if stride == -2 else (sides[row] - lost[row]) // stride + 1
    total = Costs(*np.zeros((4, count), np.int64))
    for kind, formula in _FORMULAS.items():
        if same := [row for row, op in enumerate(rows.op) if op == kind]:
            each = formula(rows.subset(same), widths[:-1][same], sides[:-1][same], sides[1:][same])
            total += each.summed(rows.repeats[same])
    return total, sides[-1], widths[-1]


def count_classifier(side: ArrayLike, channels: ArrayLike, num_classes: int) -> Costs:
    """The costs [n] of what follows the last row: an average over its map, and a linear layer."""
    side, channels = np.asarray(side, np.int64), np.asarray(channels, np.int64)
    weights = channels * num_classes
    pooled = channels * side**2  # published networks pool again after mbpool
    return Costs(weights, weights + num_classes, weights + pooled, weights)


def _conv(rows: BlockRows, channels: Ints, side: Ints, out_side: Ints) -> Costs:
    weights = channels * rows.kernel**2 * rows.channels
    macs = weights * out_side**2
    return Costs(macs, weights + 3 * rows.channels, macs, weights)  # a bias, and two of the norm


def _mbconv(rows: BlockRows, channels: Ints, side: Ints, out_side: Ints) -> Costs:
    hidden = hidden_width(channels, rows.expansion)
    squeezed = squeeze_width(hidden, rows.expansion, rows.squeeze_hidden)
    widened = hidden != channels
    # Weights that run over the input's map, over the output's, and once.
    before = channels * hidden * widened
    after = hidden * (rows.kernel**2 + rows.channels)
    once = 2 * hidden * squeezed * rows.se
    pixels = out_side**2
    weights, macs = before + after + once, before * side**2 + after * pixels + once
    normed = hidden * widened + hidden * ~rows.bare_depthwise + rows.channels
    params = weights + 2 * normed + (hidden + squeezed) * rows.se
    return Costs(macs, params, macs + hidden * pixels * rows.se, weights)


def _mbpool(rows: BlockRows, channels: Ints, side: Ints, out_side: Ints) -> Costs:
    hidden = hidden_width(channels, rows.expansion)
    before, after = channels * hidden, hidden * rows.channels
    pixels = side**2
    macs, weights = before * pixels + after, before + after
    return Costs(macs, weights + 2 * hidden, macs + hidden * pixels, weights)


_FORMULAS: dict[str, Callable[[BlockRows, Ints, Ints, Ints], Costs]] = {
    "conv": _conv,
    "mbconv": _mbconv,
    "mbpool": _mbpool,
}
"""Costs [rows, n] of one block of each row, from channels and side of its input and side of its output."""
