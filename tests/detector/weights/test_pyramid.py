"""A pyramid inherits what its levels have learned about the channels that the trunk keeps."""

from __future__ import annotations

import logging
from collections import defaultdict

import pytest
import torch
import toys
from torch import Tensor, nn
from torch.nn.modules.module import register_module_forward_pre_hook

from detector.model.detector import Detector
from detector.model.parts import Parts
from detector.space.candidate import DetectorCandidate
from detector.space.planned import plan_candidate
from detector.training.start import started
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


def test_every_map_counts_alike_for_the_norms_of_a_tower(parent: DetectorParent) -> None:
    """The tower sees the maps of each batch one after the other, of which the coarsest counted most."""
    seen: dict[int, list[Tensor]] = defaultdict(list)

    def note(module: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        if isinstance(module, nn.BatchNorm2d) and module.training:
            seen[id(module)].append(inputs[0].mean((0, 2, 3)))

    data = toys.squares(train=20, val=1)
    candidate = DetectorCandidate(architecture=PARTS, settings=SETTINGS)
    planned = plan_candidate(candidate, data, torch.device("cpu"), parent=parent)
    hook = register_module_forward_pre_hook(note)
    try:
        model = started(planned, data, torch.device("cpu"), seed=0)
    finally:
        hook.remove()
    norms = [module for module in model.rpn.head.tower.modules() if isinstance(module, nn.BatchNorm2d)]
    assert norms
    for norm in norms:
        assert len(seen[id(norm)]) == 3 * len(SETTINGS.anchor_sizes)  # 20 images, 8 at once
        expected = torch.stack(seen[id(norm)]).mean(0)
        torch.testing.assert_close(norm.running_mean, expected, rtol=1e-4, atol=1e-5)
