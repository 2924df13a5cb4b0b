"""Bounds how large a network would be, from its rows, before any of it is built."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Protocol

from nars.foreign.limits import MOST_BLOCKS, MOST_MAP, MOST_PARAMETERS

__all__ = ["Row", "check_network"]


class Row(Protocol):
    """A row of equal blocks, as `nars.spec.Block` is one."""

    @property
    def channels(self) -> int: ...
    @property
    def kernel(self) -> int | None: ...
    @property
    def stride(self) -> int: ...
    @property
    def repeats(self) -> int: ...
    @property
    def expansion(self) -> float | None: ...


def check_network(rows: Iterable[Row], channels: int, side: int = 1) -> None:
    """Check blocks, parameters and the largest map of rows that are applied to an image.

    `channels` and `side` are the image's; maps are those of one image. Raises `ValueError`.
    """
    blocks = parameters = 0
    largest = channels * side**2
    for row in rows:
        area = (row.kernel or 1) ** 2
        for count, width in ((1, channels), (row.repeats - 1, row.channels)):
            hidden = int(width * (row.expansion or 1)) + 8  # it is rounded to a multiple of 8
            parameters += count * max(width, hidden) * (row.channels + area + width + hidden // 2)
        if row.expansion is None:
            parameters += channels * row.channels * area + (row.repeats - 1) * row.channels**2 * area
        blocks += row.repeats
        largest = max(largest, int(channels * max(1, row.expansion or 1)) * side**2)
        side = side * 2 if row.stride == -2 else -(-side // row.stride)
        channels = row.channels
        largest = max(largest, int(channels * max(1, row.expansion or 1 if row.repeats > 1 else 1)) * side**2)
    for what, size, most in (
        ("blocks", blocks, MOST_BLOCKS),
        ("parameters", parameters, MOST_PARAMETERS),
        ("values in a map", largest, MOST_MAP),
    ):
        if size > most:
            raise ValueError(f"the network would have some {size} {what}, more than {most}")
