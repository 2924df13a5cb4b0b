"""The choice of a space: its boundaries, and that its table of facts is true."""

from __future__ import annotations

import numpy as np
import pytest

from nars.space import genotypes
from search_spaces.choice import FACTS, SMALLEST, choose
from search_spaces.spaces import space, space_names


@pytest.mark.parametrize(
    ("side", "channels", "limits", "name"),
    [
        (1, 1, {}, "micro"),
        (8, 1, {"macs": 1e6}, "micro"),
        (32, 3, {"macs": 100e6}, "micro"),
        (39, 3, {}, "micro"),
        (40, 3, {}, "tiny"),
        (47, 3, {"macs": 100e6}, "tiny"),
        (48, 3, {}, "mobile"),
        (256, 3, {}, "mobile"),
        (96, 3, {"macs": 8e6}, "tiny"),
        (96, 3, {"macs": 30e6}, "tiny"),
        (96, 3, {"macs": 30.1e6}, "mobile"),
        (96, 3, {"macs": 1e3}, "tiny"),
        (96, 3, {"params": 1e6}, "tiny"),
        (96, 3, {"params": 1.1e6}, "mobile"),
        (96, 3, {"macs": 100e6, "params": 0.5e6}, "tiny"),
        (96, 3, {"latency": 1e-6}, "mobile"),
        (96, 1, {}, "tiny"),
        (96, 1, {"latency": 1e-6}, "tiny"),
        (96, 1, {"macs": 100e6}, "mobile"),
    ],
)
def test_boundaries(side: int, channels: int, limits: dict[str, float], name: str) -> None:
    assert choose(side, channels, limits).space == name


def test_the_reason_names_what_decided() -> None:
    reasons = [
        choose(8, 1, {}).reason,
        choose(96, 3, {"macs": 8e6}).reason,
        choose(96, 3, {"macs": 60e6, "params": 2e6}).reason,
        choose(96, 3, {}).reason,
    ]
    assert reasons == [
        "grey images of 8 pixels, fewer than 40",
        "images of 96 pixels within 8 M macs",
        "images of 96 pixels within 60 M macs and 2 M params",
        "images of 96 pixels and no limit on macs or params",
    ]


def test_facts_are_those_of_the_spaces() -> None:
    """At the limits of `mobile` few of its candidates are left, and nearly all of `tiny`."""
    assert {SMALLEST, *FACTS} <= {*space_names()}
    for name, share in (("mobile", (0.01, 0.05)), ("tiny", (0.95, 1.0))):
        found = space(name).replace(num_classes=10)
        costs = found.statistics(genotypes.sample(found, 10_000, np.random.default_rng(0)))
        for statistic, limit in FACTS["mobile"].limits.items():
            assert share[0] <= (costs[statistic] <= limit).mean() <= share[1], (name, statistic)
    for name, facts in FACTS.items():
        assert space(name).in_channels in facts.channels
