from __future__ import annotations

import golden
import pytest
import torch

from nars.errors import SpecError
from nars.networks.blocks import MBConv, SameConv2d, build_block, is_residual
from nars.networks.norms import norm_layer
from nars.space.widths import hidden_width, round8, squeeze_width
from nars.spec import Block

GOLDEN = golden.load("blocks.json")
CASES = GOLDEN["cases"]


def test_widths_are_the_published_ones() -> None:
    assert round8(range(1, 81)).tolist() == GOLDEN["round8"]


@pytest.mark.parametrize("case", GOLDEN["squeeze"])
def test_squeeze_widths_are_the_published_ones(case: str) -> None:
    channels, expansion = map(int, case.split("x"))
    hidden = hidden_width(channels, expansion)
    of_input, of_hidden = squeeze_width(hidden, expansion, False), squeeze_width(hidden, expansion, True)
    assert [hidden, of_input, of_hidden] == GOLDEN["squeeze"][case]


@pytest.mark.parametrize("name", CASES)
def test_published_block(name: str) -> None:
    case = CASES[name]
    block = build_block(Block(**case["row"]), case["in_channels"]).double()
    assert sum(parameter.numel() for parameter in block.parameters()) == case["params"]
    assert len(block.state_dict()) == case["entries"]
    assert golden.shapes_hash(block) == case["shapes"]

    golden.fill(block, GOLDEN["gain"])
    with torch.no_grad():
        out = block(golden.make_input(2, case["in_channels"], 14, 18))
    expected, flat = case["output"], out.flatten()
    assert list(out.shape) == expected["shape"]
    statistics = torch.stack([out.mean(), out.std(correction=0), out.norm()])
    # the numbers are recorded with 10 digits
    assert golden.deviation(flat[:16], expected["first16"]) < 2e-9
    assert golden.deviation(flat[-16:], expected["last16"]) < 2e-9
    assert golden.deviation(statistics, [expected["mean"], expected["std"], expected["l2"]]) < 2e-9


def mbconv(**fields: object) -> Block:
    return Block(op="mbconv", **({"channels": 16, "kernel": 3, "expansion": 2} | fields))


@pytest.mark.parametrize(
    ("row", "in_channels", "residual"),
    [
        (mbconv(), 16, True),
        (mbconv(), 24, False),
        (mbconv(stride=2), 16, False),
        (mbconv(stride=-2), 16, False),
        (Block(op="conv", channels=16, kernel=3), 16, False),
    ],
)
def test_residual_where_shape_is_kept(row: Block, in_channels: int, residual: bool) -> None:
    assert is_residual(row, in_channels) == residual
    block = build_block(row, in_channels).eval()
    for name, parameter in block.named_parameters():
        if "bias" in name or "project" in name:
            torch.nn.init.zeros_(parameter)
    x = torch.randn(1, in_channels, 6, 6)
    if isinstance(block, MBConv):  # an empty branch leaves the input, or nothing
        assert torch.equal(block(x), x) if residual else not block(x).any()


@pytest.mark.parametrize(("kernel", "padding"), [(3, 0), (5, 1), (3, 2)])
def test_residual_with_another_padding_is_refused(kernel: int, padding: int) -> None:
    with pytest.raises(SpecError, match=rf"kernel {kernel} needs padding {kernel // 2}, got {padding}"):
        build_block(mbconv(kernel=kernel, padding=padding), 16)
    out = build_block(mbconv(kernel=kernel, padding=padding, stride=2), 16)(torch.randn(2, 16, 9, 9))
    side = (9 + 2 * padding - kernel) // 2 + 1
    assert out.shape == (2, 16, side, side)


def test_stochastic_depth_drops_whole_images_in_training_only() -> None:
    block = build_block(mbconv(), 16, drop_rate=0.5)
    torch.manual_seed(0)
    x = torch.randn(64, 16, 4, 4)
    dropped = (block(x) == x).flatten(1).all(1).sum().item()
    assert 16 <= dropped <= 48  # 32 expected, 4 sigma of 4 each way
    assert not (block.eval()(x) == x).flatten(1).all(1).any()


@pytest.mark.parametrize("kernel", [1, 3, 5, 7])
@pytest.mark.parametrize("size", [(8, 8), (9, 9), (7, 10), (1, 2), (2, 3)])
@pytest.mark.parametrize("stride", [1, 2])
def test_same_padding_is_tensorflows(kernel: int, size: tuple[int, int], stride: int) -> None:
    from timm.layers import Conv2dSame

    row = Block(op="conv", channels=6, kernel=kernel, stride=stride, padding="same", bias=False)
    convolution = build_block(row, 4).eval()[0]
    theirs = Conv2dSame(4, 6, kernel, stride, bias=False)
    theirs.load_state_dict(convolution.state_dict())
    images = torch.randn(2, 4, *size)
    expected = theirs(images)
    assert expected.shape[2:] == tuple(-(-side // stride) for side in size)
    torch.testing.assert_close(convolution(images), expected)


def test_same_padding_of_depthwise_convolutions() -> None:
    from timm.layers import Conv2dSame

    block = build_block(mbconv(kernel=5, stride=2, padding="same"), 16)
    depthwise = block.layers.depthwise[0]
    assert isinstance(depthwise, SameConv2d)
    theirs = Conv2dSame(32, 32, 5, 2, groups=32, bias=False)
    theirs.load_state_dict(depthwise.state_dict())
    for side in (1, 2, 3, 4, 9):
        images = torch.randn(2, 32, side, side)
        torch.testing.assert_close(depthwise(images), theirs(images))
    residual = build_block(mbconv(padding="same"), 16)
    assert not isinstance(residual.layers.depthwise[0], SameConv2d)  # with stride 1 nothing differs
    assert residual(torch.randn(2, 16, 6, 7)).shape == (2, 16, 6, 7)


def test_a_convolution_without_a_bias_and_norms_of_an_architecture() -> None:
    block = build_block(
        Block(op="conv", channels=8, kernel=1, bias=False, activation="relu6"),
        4,
        norm_layer("bn", 1e-3, 0.01),
    )
    assert block[0].bias is None
    assert (block[1].eps, block[1].momentum) == (1e-3, 0.01)
    assert isinstance(block[2], torch.nn.ReLU6)
