"""Channels of a detector that say the same about every image are left out, however large they are."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from toys import CLASSES, PARTS, model, squares

from detector.training.plan import Plan
from detector.training.start import started
from detector.training.start.judging import judged
from detector.weights.parents import DetectorParent, parent_in, sites_of
from detector.weights.saved import save_detector
from nars.parents.importance import hidden_name, output_name

CPU = torch.device("cpu")
DATA = squares(train=8, val=2)
DEAD = 3
"""A hidden channel of every block that is the same everywhere, and whose norm is the largest."""
HIDDEN = [site for site in sites_of(PARTS.replace(mask=None)) if site.row.op != "conv"]
NARROW = PARTS.replace(rpn=[PARTS.rpn[0].replace(expansion=1.5)], box=[PARTS.box[0].replace(expansion=1.5)])


@pytest.fixture
def parent(tmp_path: Path) -> DetectorParent:
    made = model()
    state = made.state_dict()
    for site in HIDDEN:
        state[f"{site.name}.layers.depthwise.0.weight"][DEAD] = 0
        state[f"{site.name}.layers.depthwise.1.weight"][DEAD] = 9
        state[f"{site.name}.layers.depthwise.1.bias"][DEAD] = 1
    save_detector(tmp_path / "parent.pt", made, CLASSES)
    return parent_in(tmp_path / "parent.pt")


def test_there_is_something_to_judge() -> None:
    starts = {site.name.split(".stages")[0] for site in HIDDEN}
    assert starts == {"backbone.trunk", "rpn.head.tower", "roi_heads.box_head"}


def test_a_channel_that_tells_nothing_is_the_first_to_go(parent: DetectorParent) -> None:
    importance = judged(parent, NARROW, DATA, CPU).importance
    for site in HIDDEN:
        assert int(importance[hidden_name(site)].argmin()) == DEAD, site.name
        assert importance[output_name(site)].min() >= 0
        assert importance[output_name(site)].max() > 0


def test_a_narrower_detector_starts_without_it(parent: DetectorParent) -> None:
    settings = parent.settings
    assert settings is not None
    heir = started(Plan(NARROW, settings, parent=parent), DATA, CPU, seed=0)
    for name in ("rpn.head.tower.stages.0.0", "roi_heads.box_head.stages.stages.0.0"):
        scales = heir.state_dict()[f"{name}.layers.depthwise.1.weight"]
        assert len(scales) < len(parent.state[f"{name}.layers.depthwise.1.weight"])
        assert scales.max() < 9


def test_nothing_is_judged_unless_there_is_a_choice_and_a_loss(parent: DetectorParent) -> None:
    assert judged(parent, PARTS, DATA, CPU) is parent
    other = DetectorParent(
        parent.parts, parent.state, parent.pixels, parent.resolution, "coco", ("person", *CLASSES[1:])
    )
    assert judged(other, NARROW, DATA, CPU) is other
    known = judged(parent, NARROW, DATA, CPU)
    assert judged(known, NARROW, DATA, CPU) is known
