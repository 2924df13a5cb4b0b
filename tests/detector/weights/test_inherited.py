"""A detector that inherits from a classifier, whose stages it then computes."""

from __future__ import annotations

import itertools
import logging

import numpy as np
import pytest
import torch
import toys
from sklearn.datasets import load_sample_image

import nars
from detector.training.plan import plan
from detector.weights.inherited import inherited
from nars.errors import WeightsError
from nars.parents.inherit import inherit
from nars.parents.lite import lite
from nars.parents.parent import Parent, network_of
from nars.spec import Architecture, Block
from search_spaces import published

CPU = torch.device("cpu")
HEAD = [Block(op="conv", channels=40, kernel=1)]
TOY = Architecture(name="toy", resolution=32, stages=[*toys.PARTS.trunk, toys.PARTS.box, HEAD])


@pytest.fixture(scope="module")
def parent() -> Parent:
    """A classifier of `TOY` with random weights."""
    torch.manual_seed(0)
    state = nars.build(TOY, 2).state_dict()
    for tensor in state.values():
        if tensor.dim() == 1:
            tensor.uniform_(0.5, 1.5)  # norms that tell their channels apart
    return Parent(TOY, state, ("a", "b"), (0.4, 0.5, 0.6), (0.2, 0.25, 0.5), "toy.pt")


def narrowed(architecture: Architecture) -> Architecture:
    """Half of the trunk's last channels, and a head of another kind."""
    stem, body, box, _ = architecture.stages
    slim = [body[0].model_copy(update={"channels": 8})]
    return architecture.replace(stages=[stem, slim, box, [Block(op="mbpool", channels=40, expansion=2)]])


def test_lite0_as_a_detector_sees_what_the_classifier_sees() -> None:
    """The same pixels of a picture, the same map after every stage of trunk and box head."""
    architecture, original = published("efficientnet_lite0"), lite("efficientnet_lite0")
    planned = plan(architecture, toys.squares(4, 2), CPU, weights=inherited(architecture, original, seed=0))
    model = planned.build(3, seed=0).eval()
    picture = torch.from_numpy(np.array(load_sample_image("china.jpg"))).permute(2, 0, 1) / 255
    picture = picture[:, :224, 100:347]
    with torch.no_grad():
        pixels = model.transform([picture])[0].tensors
        torch.testing.assert_close(pixels[0], (255 * picture - 127) / 128)
        maps = model.backbone.trunk(pixels)
        found = [*maps, *model.roi_heads.box_head.stages(maps[-1])]
        *stages, _ = network_of(original).eval().get_submodule("stages").children()  # without the head
        expected = list(itertools.accumulate(stages, lambda x, stage: stage(x), initial=pixels))[1:]
    assert [each.shape[1] for each in found] == [32, 16, 24, 40, 112, 320]
    for mine, theirs in zip(found, expected, strict=True):
        torch.testing.assert_close(mine, theirs)


def test_a_narrower_network_inherits_what_a_classifier_would(
    parent: Parent, caplog: pytest.LogCaptureFixture
) -> None:
    slim = narrowed(TOY)
    with caplog.at_level(logging.INFO, "detector"):
        checkpoint = inherited(slim, parent, seed=1)
        planned = plan(slim, toys.squares(4, 2), CPU, weights=checkpoint)
        state = planned.build(3, seed=1).state_dict()
    assert "inherited 100.0% of trunk and box head from toy.pt" in caplog.messages
    assert planned.settings.pixels.order == "rgb"
    assert planned.settings.pixels.mean == pytest.approx((102, 127.5, 153))
    assert planned.settings.pixels.std == pytest.approx((51, 63.75, 127.5))
    same_head = slim.replace(stages=[*slim.stages[:-1], HEAD])
    classifier = nars.build(same_head, 2)
    inherit(classifier, same_head, parent)
    for name, tensor in classifier.state_dict().items():
        if name.startswith(("stages.0.", "stages.1.")):
            assert torch.equal(state[f"backbone.trunk.{name}"], tensor), name
        elif name.startswith("stages.2."):
            place = name.replace("stages.2.", "stages.stages.0.")
            assert torch.equal(state[f"roi_heads.box_head.{place}"], tensor), name


def test_what_the_parent_lacks_is_drawn_from_the_seed(
    parent: Parent, caplog: pytest.LogCaptureFixture
) -> None:
    stem, body, *rest = TOY.stages
    deeper = TOY.replace(stages=[stem, [body[0].model_copy(update={"repeats": 2})], *rest])
    with caplog.at_level(logging.INFO, "detector"):
        first, again, other = (
            [layer.tensors["weight"] for layer in inherited(deeper, parent, seed).sections["stages"]]
            for seed in (1, 1, 2)
        )
    share = float(caplog.messages[0].split()[1].rstrip("%"))
    assert 40 < share < 95
    assert all(map(torch.equal, first, again))
    assert any(not torch.equal(*pair) for pair in zip(first, other, strict=True))


def test_a_parent_of_another_kind_is_refused(parent: Parent) -> None:
    shorter = TOY.replace(stages=TOY.stages[1:])
    with pytest.raises(WeightsError, match="toy has 2 stages, its parent toy has 3"):
        inherited(shorter, parent, seed=0)
