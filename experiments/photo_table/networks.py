"""The networks that nobody searched: EfficientNet-Lite0 as it is, and with hidden channels cut by hand."""

from __future__ import annotations

from nars.space.cost import count
from nars.spec import Architecture, Block
from search_spaces import published

__all__ = ["CLASSES", "cut", "cut_to", "shortened", "stock"]

CLASSES = 10
"""Classes of the photos."""


def stock(resolution: int) -> Architecture:
    """EfficientNet-Lite0 at another resolution."""
    return published("efficientnet_lite0").replace(name=f"lite0_{resolution}", resolution=resolution)


def cut(architecture: Architecture, share: float) -> Architecture:
    """The network with the same share of every block's hidden channels."""
    stages = [[_cut(row, share) for row in stage] for stage in architecture.stages]
    return architecture.replace(name=f"{architecture.name}_cut{round(100 * share)}", stages=stages)


def cut_to(architecture: Architecture, macs: float) -> Architecture:
    """The network with the largest share, in percent, of hidden channels that `macs` allow."""
    shares = (percent / 100 for percent in range(100, 5, -1))
    networks = (cut(architecture, share) for share in shares)
    return next(network for network in networks if count(network, num_classes=CLASSES).macs <= macs)


def shortened(architecture: Architecture, stages: tuple[int, ...]) -> Architecture:
    """The network without the last block of these stages, numbered from the stem as 0."""
    rows = [list(stage) for stage in architecture.stages]
    flat = [(at, index) for at, stage in enumerate(rows) for index in range(len(stage))]
    for stage in stages:
        at, index = flat[stage]
        row = rows[at][index]
        rows[at][index] = row.replace(repeats=row.repeats - 1)
    return architecture.replace(name=f"{architecture.name}_short", stages=rows)


def _cut(row: Block, share: float) -> Block:
    if row.op != "mbconv" or row.expansion is None or row.expansion <= 1:
        return row
    return row.replace(expansion=row.expansion * share)
