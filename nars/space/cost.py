"""MACs and parameters in closed form, of one architecture or of many at once.

The numbers equal those of counting the built network, to the last digit. MACs are the
multiply-accumulates of convolutions and linear layers for one image. The published counting
of FBNetV3 differs and stands beside ours: it counts the weights of convolutions only, and adds
one operation per input element of every average pool.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from nars.space.widths import hidden_width, squeeze_width
from nars.spec import Architecture, Block

__all__ = ["Cost", "Rows", "count", "count_classifier", "count_rows", "rows_of"]

Ints = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Rows:
    """Block rows, one after another, of n architectures at once: `nars.spec.Block` as arrays.

    A row is `repeats` equal blocks; more than one, or none, only where they read what they give. So the
    block that has a stride is a row of its own, before the others (`rows_of`).
    """

    op: Sequence[Literal["conv", "mbconv", "mbpool"]]
    """[rows], as `stride`."""
    stride: Sequence[int]
    channels: Ints
    """[rows, n] or [rows, 1], as all that follow."""
    kernel: Ints
    repeats: Ints
    expansion: NDArray[np.float64]
    se: NDArray[np.bool_]
    padding: Ints
    """-1 is kernel // 2."""
    squeeze_hidden: NDArray[np.bool_]
    bare_depthwise: NDArray[np.bool_]

    def only(self, chosen: Sequence[int]) -> Rows:
        """Some of them, which need not follow one another."""
        arrays = {field.name: getattr(self, field.name)[chosen] for field in fields(self)[2:]}
        return Rows([self.op[at] for at in chosen], [self.stride[at] for at in chosen], **arrays)


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

    def summed(self, repeats: Ints) -> Cost:
        """Of all rows together [n], each [rows, n] so many times."""
        each = (np.broadcast_to(getattr(self, field.name), repeats.shape) for field in fields(self))
        return Cost(*((number * repeats).sum(axis=0) for number in each))


def count(architecture: Architecture, resolution: int | None = None, num_classes: int = 1000) -> Cost:
    """The cost at `resolution` (a side in pixels; the architecture's own by default)."""
    blocks = [row for stage in architecture.stages for row in stage]
    given = resolution or architecture.resolution
    cost, side, channels = count_rows(rows_of(blocks), given, architecture.in_channels)
    cost += count_classifier(side, channels, num_classes)
    return Cost(*(int(getattr(cost, field.name)[0]) for field in fields(cost)))


def rows_of(blocks: Sequence[Block]) -> Rows:
    """The rows of one architecture, with n = 1."""
    single: list[tuple[Block, int]] = []
    for block in blocks:
        single.append((block, 1))
        if block.repeats > 1:
            single.append((block.single(1), block.repeats - 1))

    def column(value: Callable[[Block], Any], dtype: type) -> NDArray[Any]:
        return np.array([value(block) for block, _ in single], dtype=dtype)[:, None]

    return Rows(
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


def count_rows(rows: Rows, side: ArrayLike, channels: ArrayLike) -> tuple[Cost, Ints, Ints]:
    """The cost [n] of rows that read maps of a side and channels, and side and channels [n] of the last's."""
    count = rows.channels.shape[1]
    widths = np.vstack([np.broadcast_to(np.asarray(channels, np.int64), count), rows.channels])
    sides = np.empty_like(widths)
    sides[0] = side
    padding = np.where(rows.padding < 0, rows.kernel // 2, rows.padding)
    lost = rows.kernel - 2 * padding
    for at, (op, stride) in enumerate(zip(rows.op, rows.stride, strict=True)):
        if op == "mbpool":
            sides[at + 1] = 1
        else:
            sides[at + 1] = sides[at] * 2 if stride == -2 else (sides[at] - lost[at]) // stride + 1
    total = Cost(*np.zeros((4, count), np.int64))
    for kind, formula in _FORMULAS.items():
        if chosen := [at for at, op in enumerate(rows.op) if op == kind]:
            cost = formula(rows.only(chosen), widths[:-1][chosen], sides[:-1][chosen], sides[1:][chosen])
            total += cost.summed(rows.repeats[chosen])
    return total, sides[-1], widths[-1]


def count_classifier(side: ArrayLike, channels: ArrayLike, num_classes: int) -> Cost:
    """The cost [n] of what follows the last row: an average over its map, and a linear layer."""
    side, channels = np.asarray(side, np.int64), np.asarray(channels, np.int64)
    pool = Cost(published_flops=channels * side**2)  # published networks pool again after mbpool
    return pool + _layer(channels, num_classes, bias=True)


def _conv(rows: Rows, channels: Ints, side: Ints, out_side: Ints) -> Cost:
    layer = _layer(channels * rows.kernel**2, rows.channels, out_side, bias=True)
    return layer + _norm(rows.channels)


def _mbconv(rows: Rows, channels: Ints, side: Ints, out_side: Ints) -> Cost:
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
    return Cost(
        macs, weights + 2 * normed + (hidden + squeezed) * rows.se, macs + hidden * pixels * rows.se, weights
    )


def _mbpool(rows: Rows, channels: Ints, side: Ints, out_side: Ints) -> Cost:
    hidden = hidden_width(channels, rows.expansion)
    pooled = Cost(published_flops=hidden * side**2)
    return _layer(channels, hidden, side) + _norm(hidden) + pooled + _layer(hidden, rows.channels)


_FORMULAS: dict[str, Callable[[Rows, Ints, Ints, Ints], Cost]] = {
    "conv": _conv,
    "mbconv": _mbconv,
    "mbpool": _mbpool,
}
"""The cost [rows, n] of one block of each row, from channels and side of its input and side of its output."""


def _layer(inputs: Ints, out: Ints | int, side: ArrayLike = 1, bias: bool = False) -> Cost:
    """A convolution whose every output reads so many inputs; a linear layer at side 1."""
    weights = inputs * out
    macs = weights * np.asarray(side, np.int64) ** 2
    return Cost(macs, weights + out * bias, macs, weights)


def _norm(channels: Ints) -> Cost:
    return Cost(params=2 * channels)
