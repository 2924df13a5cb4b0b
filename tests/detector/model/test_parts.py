from __future__ import annotations

import golden
import numpy as np
import optuna
import pytest
import torch
from torch import nn

from detector.model.catalogue import names, published, published_settings
from detector.model.detector import Detector
from detector.model.parts import Parts, parts_of
from detector.model.settings import Settings
from nars.errors import SpecError, UsageError
from nars.networks.build import Features
from nars.spec import Architecture, Block
from search_spaces import published as classifier
from search_spaces import space

GOLDEN = golden.load("detector_parts.json")
CASES = [(name, part) for name, parts in GOLDEN["parts"].items() for part in parts]


def stages(name: str, part: str) -> list[list[Block]]:
    """Return the parts of a published detector; "no_se" means without squeeze-and-excitation."""
    parts = published(name.replace("no_se", "c4"))
    rows = parts.trunk if part == "trunk" else (getattr(parts, part),)
    change = {"se": "none"} if "no_se" in name else {}
    return [[row.model_copy(update=change) for row in stage] for stage in rows]


def macs(network: nn.Module, x: torch.Tensor) -> int:
    """Multiply-accumulates of the convolutions in one forward pass."""
    total = 0

    def count(module: nn.Module, _inputs: object, out: torch.Tensor) -> None:
        nonlocal total
        assert isinstance(module, nn.Conv2d)
        total += out.numel() * module.weight[0].numel()

    handles = [
        module.register_forward_hook(count) for module in network.modules() if isinstance(module, nn.Conv2d)
    ]
    with torch.device("meta"):
        network(x)
    for handle in handles:
        handle.remove()
    return total


def is_large(name: str) -> bool:
    return name == "fbnetv3g_fpn"


@pytest.mark.parametrize(("name", "part"), CASES)
def test_size_of_published_part(name: str, part: str) -> None:
    expected = GOLDEN["parts"][name][part]
    with torch.device("meta"):
        network = Features(stages(name, part), expected["in_channels"]).eval()
    assert golden.shapes_hash(network) == expected["shapes"]
    assert sum(parameter.numel() for parameter in network.parameters()) == expected["params"]
    convolutions = [each.weight.numel() for each in network.modules() if isinstance(each, nn.Conv2d)]
    assert sum(convolutions) == expected["conv_weights"]
    assert network.out_channels == expected["channels"]
    assert network.strides == expected["strides"]
    assert macs(network, torch.empty(expected["macs_input"], device="meta")) == expected["macs"]


@pytest.mark.parametrize(
    ("name", "part"),
    [pytest.param(*case, marks=pytest.mark.slow) if is_large(case[0]) else case for case in CASES],
)
def test_output_of_published_part(name: str, part: str) -> None:
    expected = GOLDEN["parts"][name][part]
    network = Features(stages(name, part), expected["in_channels"]).double()
    golden.fill(network, GOLDEN["gain"])
    with torch.no_grad():
        maps = network(golden.make_input(*expected["input"]))
    for out, (shape, mean, std) in zip(maps, expected["stages"], strict=True):
        assert list(out.shape) == shape
        # the numbers are recorded with 10 digits
        assert golden.deviation(torch.stack([out.mean(), out.std(correction=0)]), [mean, std]) < 1e-8
    last = maps[-1].flatten()
    assert golden.deviation(last[:16], expected["first16"]) < 1e-8
    assert golden.deviation(last[-16:], expected["last16"]) < 1e-8
    assert golden.deviation(last.norm(), [expected["l2"]]) < 1e-8
    assert golden.deviation(last.sum(), [expected["sum"]]) < 1e-7  # of terms that nearly cancel


def test_every_published_detector_reads() -> None:
    assert len(names()) == 11
    for name in names():
        parts = published(name)
        assert parts.name == name
        rows = [row for stage in parts.trunk for row in stage] + [*parts.rpn, *parts.box]
        assert all(row.activation == "relu" for row in rows)
        assert all(row.depthwise == "bare" and row.squeeze == "hidden" for row in rows)
        assert published_settings(name).mask is False
        if parts.fpn is None:
            assert parts.channels == parts.rpn[0].channels
            assert Features(parts.trunk).strides[-1] == 16


@pytest.mark.parametrize(
    "name", ["faster_rcnn_fbnetv3a_dsmask_C4", "mask_rcnn_fbnetv3a_dsmask_C4.yaml", "FBNetV3A_dsmask_C4"]
)
def test_names_of_d2go_mean_the_same(name: str) -> None:
    assert published(name) == published("fbnetv3a_dsmask_c4")
    assert published_settings(name).mask == ("mask" in name.split("_")[0])


def test_an_unknown_name_shows_the_closest() -> None:
    with pytest.raises(
        UsageError, match="'faster_rcnn_fbnetv3a_dsmsk_C4': did you mean 'fbnetv3a_dsmask_c4'"
    ):
        published("faster_rcnn_fbnetv3a_dsmsk_C4")


@pytest.mark.parametrize("name", ["fbnetv3_a0", "fbnetv3_a", "fbnetv3_g"])
def test_parts_of_a_published_classifier(name: str) -> None:
    architecture = classifier(name)
    parts = parts_of(architecture)
    assert parts.trunk == architecture.stages[:5]
    assert parts.box == architecture.stages[5]
    assert parts.rpn == architecture.stages[4][-1:]
    assert parts.channels == parts.rpn[0].channels


@pytest.mark.parametrize(("name", "stride"), [("micro", 8), ("mobile", 16)])
def test_parts_cover_any_candidate_of_a_space(name: str, stride: int) -> None:
    """Trunk and box head together are the architecture without its mbpool; C5 has twice the stride of C4."""
    domain = space(name)
    sampler = optuna.samplers.RandomSampler(seed=0)
    study = optuna.create_study(sampler=sampler)
    for _ in range(20):
        genotype = study.ask(dict(domain.distributions)).params
        architecture = domain.decode(genotype).architecture
        parts = parts_of(architecture)
        joined = [row for stage in (*parts.trunk, parts.box) for row in stage]
        assert joined == [row for stage in architecture.stages for row in stage if row.op != "mbpool"]
        assert Features(parts.trunk).strides[-1] == stride
        assert [row.stride for row in parts.box] == [2] + [1] * (len(parts.box) - 1)
        assert parts.rpn[0].replace(stride=parts.trunk[-1][-1].stride) == parts.trunk[-1][-1]
        assert parts.mask is not None
        assert Features([parts.mask], parts.channels).strides == [0.5]


def test_a_downsampling_inside_a_stage_is_cut_there() -> None:
    rows = [
        Block(op="conv", channels=8, kernel=3, stride=2),
        Block(op="mbconv", channels=16, kernel=5, expansion=2, stride=2, padding=1),
        Block(op="mbconv", channels=24, kernel=3, expansion=2, stride=2),
        Block(op="mbconv", channels=24, kernel=3, expansion=2),
    ]
    parts = parts_of(Architecture(resolution=32, stages=[rows]))
    assert parts.trunk == (tuple(rows[:2]),)
    assert parts.box == tuple(rows[2:])
    # the last row once more, but at the map's size
    assert parts.rpn == (rows[1].model_copy(update={"stride": 1, "padding": None}),)


def test_mask_head_of_a_searched_architecture_is_the_published_one_at_its_width() -> None:
    published_mask = published("fbnetv3a_dsmask_c4").mask
    rows = [
        Block(op="conv", channels=16, kernel=3, stride=2, activation="relu"),
        Block(op="mbconv", channels=40, kernel=3, expansion=2, activation="relu", depthwise="bare"),
        Block(op="mbconv", channels=128, kernel=3, expansion=4, stride=2, activation="relu"),
    ]
    found = parts_of(Architecture(resolution=32, stages=[rows])).mask
    assert found is not None
    assert published_mask is not None
    assert [row.replace(squeeze="hidden") for row in found] == list(published_mask)


CONV = Block(op="conv", channels=8, kernel=3, stride=2)
KEEP = Block(op="mbconv", channels=8, kernel=3, expansion=2)


@pytest.mark.parametrize(
    ("stages", "message"),
    [
        ([[CONV, KEEP]], "2 downsamplings or more, net has 1"),
        ([[CONV], [KEEP.replace(stride=-2)], [KEEP.replace(stride=2)]], "net upsamples"),
    ],
)
def test_architectures_that_make_no_detector(stages: list[list[Block]], message: str) -> None:
    with pytest.raises(SpecError, match=message):
        parts_of(Architecture(name="net", resolution=32, stages=stages))


def test_a_detector_sees_colours() -> None:
    with pytest.raises(SpecError, match="RGB images, net has 1 input channels"):
        parts_of(Architecture(name="net", resolution=32, in_channels=1, stages=[[CONV, KEEP]]))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"rpn": [KEEP.replace(stride=2)]}, "rows have stride 1"),
        ({"box": [Block(op="mbpool", channels=8, expansion=2)]}, "mbpool leaves no map"),
        ({"fpn": 64}, "trunk of 2 stages or more"),
        ({"boks": [KEEP]}, "unknown key 'boks' of parts: did you mean 'box'"),
    ],
)
def test_impossible_parts_are_refused(change: dict[str, object], message: str) -> None:
    fields = {"trunk": [[CONV]], "rpn": [KEEP], "box": [KEEP]} | change
    with pytest.raises(SpecError, match=message):
        Parts(**fields)


def test_rule_v1_covers_every_kind_of_tensor() -> None:
    """Golden numbers would notice nothing in a part that rule v1 fills trivially."""
    network = golden.fill(Features(stages("fbnetv3a_c4", "rpn"), 112), GOLDEN["gain"])
    spreads = [float(np.std(each.numpy())) for each in network.state_dict().values() if each.numel() > 1]
    assert min(spreads) > 0.01


def test_parts_of_a_network_with_a_1x1_head_and_norms_of_its_own() -> None:
    architecture = classifier("efficientnet_lite0")
    parts = parts_of(architecture)
    assert parts.trunk == architecture.stages[:5]
    assert parts.box == architecture.stages[5]  # the 1x1 convolution is the classifier's
    assert parts.mask is not None
    assert (parts.channels, Features(parts.trunk).strides[-1]) == (112, 16)
    with torch.device("meta"):
        model = Detector(parts, 3, Settings(mask=True, norm="bn"))
    norms = [module for module in model.modules() if isinstance(module, nn.BatchNorm2d)]
    assert {(norm.eps, norm.momentum) for norm in norms} == {(1e-3, 0.01)}
    written = parts.model_dump(mode="json", exclude_defaults=True)
    assert Parts(**written) == parts
    assert "norm_eps" not in parts_of(classifier("fbnetv3_a")).model_dump()  # as older versions wrote them
