"""Rows of blocks of many architectures at once, as arrays."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from nars.spec import Block

__all__ = ["BlockRows", "rows_of"]

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
    """-1 is kernel // 2, or SAME, which gives maps of the same size."""
    squeeze_hidden: NDArray[np.bool_]
    bare_depthwise: NDArray[np.bool_]
    bias: NDArray[np.bool_]

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
            bias=self.bias[rows],
        )


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
        padding=column(lambda block: block.padding if isinstance(block.padding, int) else -1, np.int64),
        squeeze_hidden=column(lambda block: block.squeeze == "hidden", np.bool_),
        bare_depthwise=column(lambda block: block.depthwise == "bare", np.bool_),
        bias=column(lambda block: block.bias, np.bool_),
    )
