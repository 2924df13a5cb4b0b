"""A candidate computes what its parent does, as far as nothing that matters is left out."""

from __future__ import annotations

import golden
import pytest
import torch
from torch import Tensor, nn

import nars
from nars.errors import WeightsError
from nars.parents.alignment import streams
from nars.parents.inherit import inherit
from nars.parents.parent import Parent
from nars.spec import Architecture, Block

CLASSES = ("ant", "bee", "cat")
IMAGES = golden.make_input(2, 3, 32, 32)


def mbconv(channels: int, **fields: object) -> Block:
    return Block(**({"op": "mbconv", "channels": channels, "kernel": 3, "expansion": 2} | fields))


ARCHITECTURE = Architecture(
    name="parent",
    resolution=32,
    stages=[
        [Block(op="conv", channels=16, kernel=3, stride=2)],
        [mbconv(16, expansion=1)],
        [mbconv(24, kernel=5, stride=2, repeats=3, expansion=4, se="hsigmoid")],
        [mbconv(32, stride=2, expansion=4, repeats=2), mbconv(40, kernel=5, expansion=3, repeats=2)],
        [Block(op="conv", channels=64, kernel=1, bias=False)],
    ],
)
POOLED = ARCHITECTURE.replace(
    name="pooled", stages=[*ARCHITECTURE.stages[:-1], [Block(op="mbpool", channels=48, expansion=2)]]
)


def network(architecture: Architecture) -> nn.Module:
    return golden.fill(nars.build(architecture, len(CLASSES)).double(), 2.2)


def parent_of(model: nn.Module, architecture: Architecture) -> Parent:
    state = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    return Parent(architecture, state, CLASSES, (0.5,) * 3, (0.25,) * 3, "test")


def outputs(architecture: Architecture, parent: Parent) -> Tensor:
    """The logits of a candidate that has inherited, whose fresh weights are random."""
    model = nars.build(architecture, len(CLASSES)).double()
    inherit(model, architecture, parent, CLASSES)
    with torch.no_grad():
        logits: Tensor = model.eval()(IMAGES)
    return logits


@pytest.mark.parametrize("architecture", [ARCHITECTURE, POOLED], ids=lambda each: each.name)
def test_a_candidate_like_its_parent_is_its_parent(architecture: Architecture) -> None:
    original = network(architecture)
    model = nars.build(architecture, len(CLASSES)).double().eval()
    inherited = inherit(model, architecture, parent_of(original, architecture), CLASSES)
    assert (inherited.share, inherited.classifier) == (1.0, True)
    for name, tensor in original.state_dict().items():
        assert torch.equal(model.state_dict()[name], tensor), name
    with torch.no_grad():
        assert torch.equal(model(IMAGES), original(IMAGES))


def test_the_classifier_is_inherited_if_the_classes_agree() -> None:
    original = network(ARCHITECTURE)
    for classes in (None, ("ant", "cat", "bee")):
        model = nars.build(ARCHITECTURE, 3).double()
        before = model.head.classifier.weight.clone()
        inherited = inherit(model, ARCHITECTURE, parent_of(original, ARCHITECTURE), classes)
        assert torch.equal(model.head.classifier.weight, before)
        assert not inherited.classifier
        assert inherited.parameters - inherited.inherited == 64 * 3 + 3


def test_hidden_channels_that_add_nothing_are_left_out_first() -> None:
    original = network(ARCHITECTURE)
    state = original.state_dict()
    for name, tensor in state.items():
        if name.endswith("layers.project.0.weight") and not name.startswith("stages.1"):
            hidden = tensor.shape[1]
            unused = torch.randperm(hidden, generator=torch.Generator().manual_seed(0))[: hidden // 2]
            tensor[:, unused] = 0
            if f"{name.removesuffix('project.0.weight')}se.fc1.weight" in state:
                state[f"{name.removesuffix('project.0.weight')}se.fc1.weight"][:, unused] = 0
    stages = [list(stage) for stage in ARCHITECTURE.stages]
    stages[2:4] = [[row.replace(expansion=row.expansion / 2) for row in stage] for stage in stages[2:4]]
    with torch.no_grad():
        expected = original(IMAGES)
    logits = outputs(ARCHITECTURE.replace(stages=stages), parent_of(original, ARCHITECTURE))
    torch.testing.assert_close(logits, expected, rtol=1e-12, atol=1e-12)


def test_a_residual_stream_keeps_one_choice_of_channels() -> None:
    original = network(ARCHITECTURE)
    state = original.state_dict()
    silent = [1, 4, 5, 9, 12, 17, 20, 23]  # of 24 channels, in all blocks that write them
    for block in range(3):
        for leaf in ("weight", "bias", "running_mean"):
            state[f"stages.2.{block}.layers.project.1.{leaf}"][silent] = 0
        state[f"stages.2.{block}.layers.project.0.weight"][silent] = 0
    narrow = [list(stage) for stage in ARCHITECTURE.stages]
    # the same hidden channels: the first block reads 16, the later ones the narrower stream
    rows = [
        narrow[2][0].replace(channels=16, repeats=1),
        narrow[2][0].replace(channels=16, stride=1, repeats=2, expansion=6),
    ]
    narrow[2] = rows
    narrow[3] = [
        narrow[3][0].replace(repeats=1, expansion=6),
        narrow[3][0].replace(repeats=1, stride=1),
        narrow[3][1],
    ]
    with torch.no_grad():
        expected = original(IMAGES)
    logits = outputs(ARCHITECTURE.replace(stages=narrow), parent_of(original, ARCHITECTURE))
    torch.testing.assert_close(logits, expected, rtol=1e-12, atol=1e-12)


def test_a_kernel_keeps_its_centre() -> None:
    original = network(ARCHITECTURE)
    state = original.state_dict()
    for name, tensor in state.items():
        if name.endswith("layers.depthwise.0.weight") and tensor.shape[-1] == 5:
            border = torch.ones(5, 5, dtype=torch.bool)
            border[1:4, 1:4] = False
            tensor[:, :, border] = 0
    smaller = [
        [row.replace(kernel=3) if row.kernel == 5 else row for row in stage] for stage in ARCHITECTURE.stages
    ]
    larger = [
        [row.replace(kernel=5) if row.op == "mbconv" else row for row in stage]
        for stage in ARCHITECTURE.stages
    ]
    with torch.no_grad():
        expected = original(IMAGES)
    for stages in (smaller, larger):
        logits = outputs(ARCHITECTURE.replace(stages=stages), parent_of(original, ARCHITECTURE))
        torch.testing.assert_close(logits, expected, rtol=1e-12, atol=1e-12)


def test_a_stream_keeps_its_first_blocks() -> None:
    original = network(ARCHITECTURE)
    state = original.state_dict()
    for block in ("stages.2.2", "stages.3.1", "stages.3.3"):  # the last of each stream adds nothing
        for leaf in ("weight", "bias"):
            state[f"{block}.layers.project.1.{leaf}"].zero_()
    with torch.no_grad():
        expected = original(IMAGES)
    for change in (-1, 2):  # blocks beyond the parent's start as the identity
        stages = [
            [row.replace(repeats=row.repeats + change) if row.repeats > 1 else row for row in stage]
            for stage in ARCHITECTURE.stages
        ]
        logits = outputs(ARCHITECTURE.replace(stages=stages), parent_of(original, ARCHITECTURE))
        torch.testing.assert_close(logits, expected, rtol=1e-12, atol=1e-12)


def test_the_head_keeps_its_largest_channels() -> None:
    original = network(ARCHITECTURE)
    silent = slice(8, 40)
    for leaf in ("weight", "bias"):
        original.state_dict()[f"stages.4.0.1.{leaf}"][silent] = 0
    stages = [*ARCHITECTURE.stages[:-1], [ARCHITECTURE.stages[-1][0].replace(channels=32)]]
    with torch.no_grad():
        expected = original(IMAGES)
    logits = outputs(ARCHITECTURE.replace(stages=stages), parent_of(original, ARCHITECTURE))
    torch.testing.assert_close(logits, expected, rtol=1e-12, atol=1e-12)


def test_the_share_by_hand() -> None:
    """A stem of 16 channels inherits 8; a classifier of other classes is fresh."""
    stem = Architecture(name="stem", resolution=8, stages=[[Block(op="conv", channels=8, kernel=3)]])
    wider = stem.replace(stages=[[Block(op="conv", channels=16, kernel=3)]])
    model = nars.build(wider, 2)
    inherited = inherit(model, wider, parent_of(nars.build(stem, 3), stem))
    assert inherited.inherited == 8 * (27 + 1 + 2)
    assert inherited.parameters == 16 * (27 + 1 + 2) + 16 * 2 + 2
    grey = stem.replace(in_channels=1)
    model = nars.build(grey, 2)
    before = model.stages[0][0][0].weight.clone()
    assert inherit(model, grey, parent_of(nars.build(stem, 3), stem)).inherited == 8 * (1 + 2)
    assert torch.equal(model.stages[0][0][0].weight, before)  # colours are not grey


def test_an_expansion_that_only_one_has_is_fresh() -> None:
    original = network(ARCHITECTURE)
    stages = [list(stage) for stage in ARCHITECTURE.stages]
    stages[1] = [mbconv(16, expansion=2)]
    architecture = ARCHITECTURE.replace(stages=stages)
    model = nars.build(architecture, 3).double()
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    inherit(model, architecture, parent_of(original, ARCHITECTURE))
    for part in ("expand.0", "depthwise.0", "project.0"):
        name = f"stages.1.0.layers.{part}.weight"
        assert torch.equal(model.state_dict()[name], before[name])


def test_streams_of_equal_width_are_told_apart_by_depth() -> None:
    two = Architecture(
        name="two", resolution=8, stages=[[mbconv(16, stride=2, repeats=3), mbconv(24, repeats=2)]]
    )
    child = two.replace(stages=[[mbconv(16, stride=2, repeats=2), mbconv(16, repeats=2)]])
    found = streams(child, two)
    assert [(len(stream.child), len(stream.parent)) for stream in found] == [(2, 3), (2, 2)]


def test_networks_of_another_structure_are_refused() -> None:
    parent = parent_of(network(ARCHITECTURE), ARCHITECTURE)
    with pytest.raises(WeightsError, match="short has 4 stages, its parent parent has 5"):
        outputs(ARCHITECTURE.replace(name="short", stages=ARCHITECTURE.stages[:-1]), parent)
    rule = "stage 4 of pooled differs from that of its parent parent in operations or strides"
    with pytest.raises(WeightsError, match=rule):
        outputs(POOLED, parent)
