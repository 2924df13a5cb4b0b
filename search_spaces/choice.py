"""Chooses the built-in space that suits the images and the limits of a search."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

__all__ = ["FACTS", "SMALLEST", "Choice", "Facts", "choose"]


class Facts(NamedTuple):
    """The images and limits that a space is for."""

    side: int
    """Smallest median side, in pixels, of the images that it suits."""
    channels: tuple[int, ...]
    """Input channels that its networks may have."""
    limits: Mapping[str, float]
    """Limits that it needs more than: at these, few of its candidates are left."""


FACTS: Mapping[str, Facts] = {
    "mobile": Facts(48, (3,), {"macs": 30e6, "params": 1e6}),
    "tiny": Facts(40, (1, 3), {}),
    "micro": Facts(1, (3,), {}),
}
"""The spaces to choose from, the largest first."""

SMALLEST = "micro"
"""The space for small images and for detectors, and of every search before there was a choice."""


class Choice(NamedTuple):
    """The name of a space, and the reason for it."""

    space: str
    reason: str


def choose(side: int, channels: int, limits: Mapping[str, float]) -> Choice:
    """The space for images of a median `side` in pixels and 1 or 3 `channels`, within `limits`.

    A limit on latency has no say, because it has to be measured first. Grey images go to a space with one
    input channel, unless a limit asks for larger networks.
    """
    mobile, tiny = FACTS["mobile"], FACTS["tiny"]
    images = f"{'grey ' if channels == 1 else ''}images of {side} pixels"
    if side < tiny.side:
        return Choice(SMALLEST, f"{images}, fewer than {tiny.side}")
    if side < mobile.side:
        return Choice("tiny", f"{images}, fewer than {mobile.side}")
    given = {name: limits[name] for name in mobile.limits if name in limits}
    for name, limit in given.items():
        if limit <= mobile.limits[name]:
            return Choice("tiny", f"{images} within {limit / 1e6:g} M {name}")
    if channels not in mobile.channels and not given:
        return Choice("tiny", f"{images}, which it takes in one channel")
    within = " and ".join(f"{limit / 1e6:g} M {name}" for name, limit in given.items())
    return Choice("mobile", f"{images} {f'within {within}' if given else 'and no limit on macs or params'}")
