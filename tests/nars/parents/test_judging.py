"""Measured importance: what the loss and the outputs of blocks would be without channels."""

from __future__ import annotations

from dataclasses import replace

import golden
import pytest
import torch
import torch.nn.functional as F
from torch import nn

import nars
from nars.data import ImageData, load, normalise
from nars.parents.inherit import inherit
from nars.parents.judging import order_left_out, with_importance
from nars.parents.parent import Parent, network_of
from nars.spec import Architecture, Block

CPU = torch.device("cpu")
ARCHITECTURE = Architecture(
    name="parent",
    resolution=8,
    stages=[
        [Block(op="conv", channels=8, kernel=3)],
        [Block(op="mbconv", channels=16, kernel=3, expansion=4, se="hsigmoid", repeats=2)],
        [Block(op="mbpool", channels=24, expansion=2)],
    ],
)


@pytest.fixture(scope="module")
def digits() -> ImageData:
    return load("digits")


@pytest.fixture(scope="module")
def origin(digits: ImageData) -> Parent:
    model = golden.fill(nars.build(ARCHITECTURE, 10), 2.2)
    mean, std = tuple(digits.mean.tolist()), tuple(digits.std.tolist())
    return Parent(ARCHITECTURE, model.state_dict(), digits.classes, mean, std, "test")


def slopes(parent: Parent, data: ImageData, reader: str, channel: int, own: bool = False) -> float:
    """The sum of squares of every image's slope of loss, by differences.

    What `reader` reads of a channel is stretched about its mean.
    """
    numbers = torch.linspace(0, len(data.train) - 1, 256).long()
    ((images, labels),) = data.train.batches(8, CPU, [numbers])
    pixels = normalise(images, data.mean, data.std).double()
    model = network_of(parent).double().eval()
    targets = model(pixels).argmax(dim=1) if own else labels

    @torch.no_grad()
    def losses(share: float) -> torch.Tensor:
        def stretched(module: nn.Module, inputs: tuple[torch.Tensor, ...]) -> torch.Tensor:
            values = inputs[0].clone()
            values[:, channel] += share * (values[:, channel] - values[:, channel].mean())
            return values

        hook = model.get_submodule(reader).register_forward_pre_hook(stretched)
        each = F.cross_entropy(model(pixels), targets, reduction="none")
        hook.remove()
        return each

    return float(((losses(1e-5) - losses(-1e-5)) / 2e-5).square().sum())


@pytest.mark.parametrize(
    ("name", "reader"),
    [
        ("stages.0.0.output", "stages.1.0.layers.expand.0"),
        ("stages.1.1.output", "stages.2.0.expand.0"),
        ("stages.2.0.output", "head.classifier"),
    ],
)
def test_importance_of_a_stream_is_the_slope_of_the_loss(
    name: str, reader: str, origin: Parent, digits: ImageData
) -> None:
    importance = with_importance(origin, digits, CPU).importance[name]
    some = range(0, len(importance), 3)
    expected = [slopes(origin, digits, reader, channel) for channel in some]
    torch.testing.assert_close(
        importance.double()[some], torch.tensor(expected).double(), rtol=2e-3, atol=1e-9
    )
    assert importance[some].max() > 0


@pytest.mark.parametrize("name", ["stages.1.0", "stages.1.1", "stages.2.0"])
def test_hidden_channels_are_left_out_by_what_that_changes(
    name: str, origin: Parent, digits: ImageData
) -> None:
    """The outputs of the block with the first few left out, beside those with any other one more."""
    importance = with_importance(origin, digits, CPU).importance[f"{name}.hidden"]
    assert sorted(importance.tolist()) == list(range(len(importance)))
    model = network_of(origin).double().eval()
    project = model.get_submodule(f"{name}.project" if name == "stages.2.0" else f"{name}.layers.project")
    inputs: list[torch.Tensor] = []
    project.register_forward_pre_hook(lambda module, given: inputs.append(given[0]))
    numbers = torch.linspace(0, len(digits.train) - 1, 256).long()
    ((images, _),) = digits.train.batches(8, CPU, [numbers])
    with torch.no_grad():
        model(normalise(images, digits.mean, digits.std).double())
        values = inputs[0] - inputs[0].mean(dim=(0, 2, 3), keepdim=True)
        order = importance.argsort().tolist()
        for count in (0, 7):
            changes = []
            for channel in order[count:]:
                left_out = torch.zeros_like(values)
                gone = [*order[:count], channel]
                left_out[:, gone] = values[:, gone]
                changes.append(float((project(left_out) - project(0 * values)).square().sum()))
            assert changes[0] == pytest.approx(min(changes), rel=1e-4)


def test_two_channels_that_cancel_are_left_out_together() -> None:
    """The third adds 2; the first two add 4 and 4 alone, 4 + 4 - 2 * 3.9 = .2 together."""
    gram = torch.tensor([[4.0, -3.9, 0.0], [-3.9, 4.0, 0.0], [0.0, 0.0, 4.5]]).double()
    assert order_left_out(gram).tolist() == [0, 1, 2]
    gram[2, 2] = 2.0
    assert order_left_out(gram).tolist() == [1, 2, 0]


def test_without_the_parents_classes_its_own_answers_count(origin: Parent, digits: ImageData) -> None:
    other = replace(digits, classes=tuple("abcdefghij"))
    importance = with_importance(origin, other, CPU).importance["stages.2.0.output"]
    expected = slopes(origin, digits, "head.classifier", 3, own=True)
    assert float(importance[3]) == pytest.approx(expected, rel=2e-3, abs=1e-9)


def test_a_parent_of_grey_images_is_judged_as_one_that_sees_them_in_three_channels(
    origin: Parent, digits: ImageData
) -> None:
    stem = "stages.0.0.0.weight"
    state = {**origin.state, stem: origin.state[stem].sum(dim=1, keepdim=True)}
    grey = replace(origin, architecture=ARCHITECTURE.replace(in_channels=1), state=state)
    expected = with_importance(origin, digits, CPU).importance["stages.2.0.output"]
    judged = with_importance(grey, digits, CPU).importance["stages.2.0.output"]
    torch.testing.assert_close(judged, expected, rtol=1e-3, atol=1e-9)


def test_a_child_takes_the_channels_that_were_measured(origin: Parent) -> None:
    outputs, hidden = [0, 2, 3, 5, 6, 9, 10, 15], [1, 4, 5, 8, 9, 12, 13, 15, 17, 18, 19, 20, 21, 22, 30, 31]
    importance = {f"stages.1.{block}.output": marked(16, outputs) for block in range(2)}
    importance["stages.1.0.hidden"] = marked(32, hidden)
    narrow = ARCHITECTURE.stages[1][0].replace(channels=8, expansion=2)
    child = ARCHITECTURE.replace(stages=[ARCHITECTURE.stages[0], [narrow], ARCHITECTURE.stages[2]])
    model = nars.build(child, 10)
    inherit(model, child, replace(origin, importance=importance))
    name = "stages.1.0.layers.project.0.weight"
    assert torch.equal(model.state_dict()[name], origin.state[name][outputs][:, hidden])


def marked(count: int, chosen: list[int]) -> torch.Tensor:
    """The importance of channels of which only the chosen ones matter."""
    return torch.zeros(count).index_fill(0, torch.tensor(chosen), 1.0)
