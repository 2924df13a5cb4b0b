"""A pyramid inherits what its levels have learned about the channels that the trunk keeps."""

from __future__ import annotations

import logging

import pytest
import toys
from torch import Tensor

from detector.model.detector import Detector
from detector.model.parts import Parts
from detector.weights.inherited import inherit
from detector.weights.parents import DetectorParent
from nars.spec import Block

LAST = Block(op="mbconv", channels=16, kernel=3, expansion=2, stride=2)
PARTS = toys.PARTS.replace(trunk=(*toys.PARTS.trunk, (LAST,)), fpn=8)
SETTINGS = toys.SETTINGS.replace(anchor_sizes=((8, 12), (16, 24), (32, 48)))
LATERAL = "backbone.fpn.levels.0.lateral.0.weight"


def detector(parts: Parts) -> Detector:
    return Detector(parts, len(toys.CLASSES), SETTINGS)


@pytest.fixture(scope="module")
def parent() -> DetectorParent:
    state: dict[str, Tensor] = detector(PARTS).state_dict()
    scale = state["backbone.trunk.stages.1.0.layers.project.1.weight"]
    scale[:8], scale[8:] = 0.1, 9.0  # the later half of the channels matters
    return DetectorParent(PARTS, state, SETTINGS.pixels, 48, "a pyramid", toys.CLASSES, SETTINGS)


def test_a_level_sees_the_channels_that_its_stage_kept(parent: DetectorParent) -> None:
    first, middle, last = PARTS.trunk
    narrow = detector(PARTS.replace(trunk=(first, (middle[0].replace(channels=8),), last)))
    inherit(narrow, parent, toys.CLASSES)
    own = narrow.state_dict()
    assert own[LATERAL].equal(parent.state[LATERAL][:, 8:])
    others = [name for name in own if name.startswith("backbone.fpn.") and name != LATERAL]
    assert all(own[name].equal(parent.state[name]) for name in others)


def test_a_pyramid_of_another_width_is_said_to_be_fresh(
    parent: DetectorParent, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO, "detector.weights"):
        inherit(detector(PARTS.replace(fpn=16)), parent, toys.CLASSES)
    assert "fresh: pyramid" in caplog.text
