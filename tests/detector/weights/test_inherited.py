"""A detector that inherits from a classifier or from another detector."""

from __future__ import annotations

import itertools
import logging
from pathlib import Path

import numpy as np
import pytest
import torch
import toys
from sklearn.datasets import load_sample_image
from torch import Tensor

import nars
from detector.model.detector import Detector
from detector.model.parts import Parts
from detector.training.plan import plan
from detector.training.start import started
from detector.weights.inherited import check_trunk, inherit
from detector.weights.parents import DetectorParent, parent_called, parent_in
from detector.weights.saved import save_detector
from nars.errors import RunError, UsageError, WeightsError
from nars.networks.weights import save_weights
from nars.parents.inherit import inherit as inherit_as_classifier
from nars.parents.parent import Parent, network_of
from nars.parents.published.lite import lite
from nars.spec import Architecture, Block, Candidate
from search_spaces import published

CPU = torch.device("cpu")
HEAD = [Block(op="conv", channels=40, kernel=1)]
TOY = Architecture(name="toy", resolution=32, stages=[*toys.PARTS.trunk, toys.PARTS.box, HEAD])
SLIM = toys.PARTS.replace(
    name="slim",
    trunk=[toys.PARTS.trunk[0], [toys.PARTS.trunk[1][0].replace(channels=8)]],
    rpn=[toys.PARTS.rpn[0].replace(channels=8, expansion=1.5)],
)
"""Half of the trunk's last channels, and a tower to match."""


def distinct(state: dict[str, Tensor]) -> None:
    """Give norms other weights for every channel, so that these differ in importance."""
    torch.manual_seed(0)
    for tensor in state.values():
        if tensor.dim() == 1:
            tensor.uniform_(0.5, 1.5)


@pytest.fixture(scope="module")
def classifier() -> Parent:
    """A classifier of `TOY` with random weights."""
    torch.manual_seed(0)
    state = nars.build(TOY, 2).state_dict()
    distinct(state)
    return Parent(TOY, state, ("a", "b"), (0.4, 0.5, 0.6), (0.2, 0.25, 0.5), "toy.pt")


@pytest.fixture
def of_classifier(classifier: Parent, tmp_path: Path) -> DetectorParent:
    """The same, from its file."""
    model = nars.build(TOY, 2)
    model.load_state_dict(dict(classifier.state))
    mean, std = torch.tensor(classifier.mean), torch.tensor(classifier.std)
    file = tmp_path / "toy.pt"
    save_weights(file, model, Candidate(architecture=TOY), {}, classes=("a", "b"), mean=mean, std=std)
    return parent_in(file)


@pytest.fixture
def of_detector(tmp_path: Path) -> DetectorParent:
    """A detector of `toys.PARTS` with random weights, from its file."""
    model = toys.model()
    distinct(model.state_dict())
    save_detector(tmp_path / "detector.pt", model, toys.CLASSES)
    return parent_in(tmp_path / "detector.pt")


def child(parts: Parts = toys.PARTS, seed: int = 1, **settings: object) -> Detector:
    torch.manual_seed(seed)
    return Detector(parts, len(toys.CLASSES), toys.SETTINGS.replace(**settings))


def test_lite0_as_a_detector_sees_what_the_classifier_sees() -> None:
    """The same pixels of a picture, the same map after every stage of trunk and box head."""
    original, parent = lite("efficientnet_lite0"), parent_called("efficientnet_lite0")
    assert parent is not None
    planned = plan(published("efficientnet_lite0"), toys.squares(4, 2), CPU, parent=parent)
    model = planned.build(3, seed=0).eval()
    inherit(model, parent, toys.CLASSES)
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
    for mine, theirs in zip(found, expected[:5] + expected[-1:], strict=True):
        torch.testing.assert_close(mine, theirs)


def test_a_narrower_network_inherits_what_a_classifier_would(
    classifier: Parent, of_classifier: DetectorParent, caplog: pytest.LogCaptureFixture
) -> None:
    model = child(SLIM)
    with caplog.at_level(logging.INFO, "detector"):
        result = inherit(model, of_classifier, toys.CLASSES)
    assert 0.3 < result.share < 0.9
    said = f"inherited {100 * result.share:.1f}% of the parameters from {of_classifier.source}"
    assert caplog.messages == [f"{said}; fresh: RPN, box predictor"]
    assert of_classifier.pixels.order == "rgb"
    assert of_classifier.pixels.mean == pytest.approx((102, 127.5, 153))
    assert of_classifier.pixels.std == pytest.approx((51, 63.75, 127.5))
    same = TOY.replace(stages=[*SLIM.trunk, SLIM.box, HEAD])
    network, state = nars.build(same, 2), model.state_dict()
    inherit_as_classifier(network, same, classifier)
    places = {
        "stages.0.": "backbone.trunk.stages.0.",
        "stages.1.": "backbone.trunk.stages.1.",
        "stages.2.": "roi_heads.box_head.stages.stages.0.",
    }
    compared = 0
    for name, tensor in network.state_dict().items():
        if name[:9] in places:
            assert torch.equal(state[places[name[:9]] + name[9:]], tensor), name
            compared += 1
    assert compared > 30


def test_an_equal_detector_computes_what_its_parent_does(of_detector: DetectorParent) -> None:
    model = child()
    result = inherit(model, of_detector, toys.CLASSES)
    assert result.share == 1
    assert result.classifier
    for name, tensor in model.state_dict().items():
        assert torch.equal(tensor, of_detector.state[name]), name


def test_other_classes_make_the_predictor_fresh(
    of_detector: DetectorParent, caplog: pytest.LogCaptureFixture
) -> None:
    model, before = child(), child().state_dict()
    with caplog.at_level(logging.INFO, "detector"):
        inherit(model, of_detector, ("cat", "dog", "cow"))
    state = model.state_dict()
    name = "roi_heads.box_predictor.cls_score.weight"
    assert torch.equal(state[name], before[name])
    assert torch.equal(state["rpn.head.cls_logits.weight"], of_detector.state["rpn.head.cls_logits.weight"])
    assert caplog.messages[0].endswith("; fresh: box predictor")


def test_a_class_inherits_from_that_of_its_name(
    of_detector: DetectorParent, caplog: pytest.LogCaptureFixture
) -> None:
    """The parent's classes are red, green and blue."""
    model, before = child(), child().state_dict()
    with caplog.at_level(logging.INFO, "detector"):
        result = inherit(model, of_detector, ("blue", "cat", "red"))
    assert not result.classifier
    assert caplog.messages[0].endswith("; fresh: box predictor of 1 class")
    state, parent = model.state_dict(), of_detector.state
    for name, size in (("cls_score", 1), ("bbox_pred", 4)):
        for leaf in ("weight", "bias"):
            key = f"roi_heads.box_predictor.{name}.{leaf}"
            own, theirs, drawn = (each[key].unflatten(0, (-1, size)) for each in (state, parent, before))
            assert torch.equal(own[0], theirs[2])
            assert torch.equal(own[1], drawn[1])
            assert torch.equal(own[2], theirs[0])
    background = state["roi_heads.box_predictor.cls_score.weight"][3]
    assert torch.equal(background, parent["roi_heads.box_predictor.cls_score.weight"][3])
    assert inherit(model, of_detector, ("blue", "red", "green")).share == 1


def test_an_anchor_takes_over_from_the_nearest_and_others_start_fresh(of_detector: DetectorParent) -> None:
    """The parent has anchors of 12 and 20 pixels at a side of 48."""
    larger = {"shortest": (96,), "longest": 128}
    model = child(anchor_sizes=((26, 100, 42),), **larger)
    fresh = child(anchor_sizes=((26, 100, 42),), **larger).state_dict()
    inherit(model, of_detector, toys.CLASSES)
    state, parent = model.state_dict(), of_detector.state
    for name, size in (("rpn.head.cls_logits.weight", 1), ("rpn.head.bbox_pred.weight", 4)):
        own, theirs, drawn = (each[name].unflatten(0, (-1, size)) for each in (state, parent, fresh))
        assert torch.equal(own[0], theirs[0])
        assert torch.equal(own[1], drawn[1])
        assert torch.equal(own[2], theirs[1])


def test_a_narrower_detector_inherits_its_heads_channel_by_channel(of_detector: DetectorParent) -> None:
    model = child(SLIM)
    result = inherit(model, of_detector, toys.CLASSES)
    assert result.share == 1
    norm = "backbone.trunk.stages.1.0.layers.project.1.weight"
    kept = of_detector.state[norm].topk(8).indices.sort().values
    assert torch.equal(model.state_dict()[norm], of_detector.state[norm][kept])
    column = "roi_heads.box_head.stages.stages.0.0.layers.expand.0.weight"
    hidden = model.state_dict()[column]
    rows = of_detector.state[column][:, kept]
    assert all(any(torch.equal(row, other) for other in rows) for row in hidden)


def test_blocks_beyond_the_parents_add_nothing_at_first(of_detector: DetectorParent) -> None:
    """They are the identity, as in a classifier; elsewhere random ones scrambled what was inherited."""
    last = toys.PARTS.trunk[-1]
    more = last[-1].single(1).replace(repeats=2, channels=last[-1].channels, stride=1)
    deeper = child(toys.PARTS.replace(trunk=(*toys.PARTS.trunk[:-1], (*last, more)))).eval()
    equal = child().eval()
    image = torch.rand(1, 3, 48, 64)
    with torch.no_grad():
        for model in (deeper, equal):
            inherit(model, of_detector, toys.CLASSES)
        torch.testing.assert_close(deeper.backbone(image)["c4"], equal.backbone(image)["c4"])


def test_a_training_starts_with_norms_of_its_own_images(of_detector: DetectorParent) -> None:
    data = toys.squares(6, 2)
    architecture = TOY.replace(stages=[*SLIM.trunk, SLIM.box])
    planned = plan(architecture, data, CPU, parent=of_detector)
    assert planned.settings.pixels == of_detector.pixels
    first, again = (started(planned, data, CPU, seed=3).state_dict() for _ in range(2))
    assert all(torch.equal(tensor, again[name]) for name, tensor in first.items())
    mean = "backbone.trunk.stages.0.0.1.running_mean"
    assert not torch.equal(first[mean], of_detector.state[mean])
    assert torch.equal(
        first["backbone.trunk.stages.0.0.0.weight"], of_detector.state["backbone.trunk.stages.0.0.0.weight"]
    )


def test_a_parent_of_another_kind_is_refused(of_detector: DetectorParent) -> None:
    flat = toys.PARTS.replace(trunk=[[toys.PARTS.trunk[0][0]]])
    with pytest.raises(
        WeightsError, match="the trunk of toy has 1 stages, its parent the trunk of toy has 2"
    ):
        check_trunk(flat, of_detector)
    with pytest.raises(WeightsError, match="has 1 stages"):
        inherit(child(flat), of_detector, toys.CLASSES)


def test_parents_are_found_by_their_names(of_detector: DetectorParent, tmp_path: Path) -> None:
    assert parent_called("none") is None
    found = parent_called(of_detector.source)
    assert found is not None
    assert found.fingerprint == of_detector.fingerprint
    assert found.settings == toys.SETTINGS
    with pytest.raises(RunError, match="is no run folder"):
        parent_called(str(tmp_path))
    with pytest.raises(UsageError, match="no parent is called 'resnet'"):
        parent_called("resnet")


def test_a_classifier_that_makes_no_detector_is_refused_by_name(tmp_path: Path) -> None:
    flat = Architecture(name="flat", resolution=8, stages=((Block(op="conv", channels=8, kernel=3),),))
    half = torch.full((3,), 0.5)
    file = tmp_path / "flat.pt"
    save_weights(
        file, nars.build(flat, 2), Candidate(architecture=flat), {}, classes=("a", "b"), mean=half, std=half
    )
    with pytest.raises(UsageError, match=r"flat.pt makes no detector: .* 2 downsamplings or more"):
        parent_in(file)
