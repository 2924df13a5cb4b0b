"""The building blocks of networks: one module per single block of an architecture.

The order of tensors in a block's `state_dict` is the published one. Source: the rows of
FBNetV3's published definitions (facebookresearch/mobile-vision, ``fbnet_v2``).
"""

from __future__ import annotations

from collections import OrderedDict
from functools import partial

from torch import Tensor, nn
from torchvision.ops import Conv2dNormActivation, SqueezeExcitation, StochasticDepth

from nars.errors import SpecError
from nars.networks.norms import Norm, norm
from nars.space.widths import hidden_width, squeeze_width
from nars.spec import Block

__all__ = ["MBConv", "build_block", "is_residual"]

_ACTIVATIONS = {"hswish": nn.Hardswish, "relu": nn.ReLU, "silu": nn.SiLU}
"""Modules of a row's `activation`."""

_GATES = {"hsigmoid": nn.Hardsigmoid, "sigmoid": nn.Sigmoid}
"""Modules of a row's `se`."""


def build_block(row: Block, in_channels: int, kind: Norm = "bn", drop_rate: float = 0.0) -> nn.Module:
    """The module of one block: maps [N, in_channels, H, W] to [N, row.channels, H', W'].

    `row.repeats` must be 1; `drop_rate` is the stochastic depth of a residual block.
    Raises `SpecError` for a padding that a residual connection doesn't allow.
    """
    assert row.repeats == 1, row
    match row.op:
        case "conv":
            return _conv_block(row, in_channels, kind)
        case "mbconv":
            return MBConv(row, in_channels, kind, drop_rate)
        case "mbpool":
            return _mbpool(row, in_channels, kind)


def is_residual(row: Block, in_channels: int) -> bool:
    """Whether the block adds its input to its output."""
    return row.op == "mbconv" and row.stride == 1 and row.channels == in_channels


class MBConv(nn.Module):
    """Inverted residual: expansion, upsampling, depthwise, squeeze-and-excitation, projection.

    Expansion, upsampling and squeeze-and-excitation are there if the row asks for them.
    """

    def __init__(self, row: Block, in_channels: int, kind: Norm = "bn", drop_rate: float = 0.0) -> None:
        super().__init__()
        self.residual = is_residual(row, in_channels)
        _check_padding(row, self.residual)
        self.layers = nn.Sequential(_mbconv_layers(row, in_channels, kind))
        self.drop = StochasticDepth(drop_rate, mode="row")

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.layers(x)
        if self.residual:
            out = x + self.drop(out)
        return out


def _mbconv_layers(row: Block, in_channels: int, kind: Norm) -> OrderedDict[str, nn.Module]:
    assert row.expansion is not None
    assert row.kernel is not None
    hidden = int(hidden_width(in_channels, row.expansion))
    activation = _ACTIVATIONS[row.activation]
    layers: OrderedDict[str, nn.Module] = OrderedDict()
    if hidden != in_channels:
        layers["expand"] = _conv(in_channels, hidden, kind, activation)
    if row.stride == -2:
        layers["upsample"] = nn.Upsample(scale_factor=2, mode="nearest")
    layers["depthwise"] = Conv2dNormActivation(
        hidden,
        hidden,
        row.kernel,
        max(row.stride, 1),
        row.padding,
        groups=hidden,
        norm_layer=None if row.depthwise == "bare" else partial(norm, kind),
        activation_layer=None if row.depthwise == "bare" else activation,
        inplace=None,
        bias=False,
    )
    if row.se != "none":
        squeezed = int(squeeze_width(hidden, row.expansion, row.squeeze == "hidden"))
        layers["se"] = SqueezeExcitation(hidden, squeezed, activation, _GATES[row.se])
    layers["project"] = _conv(hidden, row.channels, kind, None)
    return layers


def _conv_block(row: Block, in_channels: int, kind: Norm) -> nn.Module:
    block: nn.Module = Conv2dNormActivation(
        in_channels,
        row.channels,
        row.kernel,
        row.stride,
        row.padding,
        norm_layer=partial(norm, kind),
        activation_layer=_ACTIVATIONS[row.activation],
        inplace=None,
        bias=True,
    )
    return block


def _mbpool(row: Block, in_channels: int, kind: Norm) -> nn.Module:
    assert row.expansion is not None
    hidden = int(hidden_width(in_channels, row.expansion))
    activation = _ACTIVATIONS[row.activation]
    layers: OrderedDict[str, nn.Module] = OrderedDict()
    layers["expand"] = _conv(in_channels, hidden, kind, activation)
    layers["pool"] = nn.AdaptiveAvgPool2d(1)
    layers["project"] = nn.Conv2d(hidden, row.channels, 1, bias=False)
    layers["activation"] = activation()
    return nn.Sequential(layers)


def _conv(channels: int, out: int, kind: Norm, activation: type[nn.Module] | None) -> nn.Module:
    """1x1 convolution without bias, norm, and the activation if any."""
    layer: nn.Module = Conv2dNormActivation(
        channels,
        out,
        kernel_size=1,
        norm_layer=partial(norm, kind),
        activation_layer=activation,
        inplace=None,
        bias=False,
    )
    return layer


def _check_padding(row: Block, residual: bool) -> None:
    assert row.kernel is not None
    same = row.kernel // 2
    if residual and row.padding not in (None, same):
        rule = f"an mbconv that keeps stride and channels adds its input, so kernel {row.kernel} needs"
        raise SpecError(f"{rule} padding {same}, got {row.padding}")
