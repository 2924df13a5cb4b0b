"""The building blocks of networks: one module per single block of an architecture.

The order of tensors in a block's `state_dict` is the published one. Source: the rows of
FBNetV3's published definitions (facebookresearch/mobile-vision, ``fbnet_v2``).
"""

from __future__ import annotations

from collections import OrderedDict

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torchvision.ops import Conv2dNormActivation, SqueezeExcitation, StochasticDepth

from nars.errors import SpecError
from nars.networks.depthwise import DepthwiseConv2d, depthwise_conv2d
from nars.networks.norms import NormLayer, norm_layer
from nars.space.widths import hidden_width, squeeze_width
from nars.spec import Block

__all__ = ["MBConv", "SameConv2d", "build_block", "is_residual"]

_ACTIVATIONS = {"hswish": nn.Hardswish, "relu": nn.ReLU, "relu6": nn.ReLU6, "silu": nn.SiLU}
"""Modules of a row's `activation`."""

_GATES = {"hsigmoid": nn.Hardsigmoid, "sigmoid": nn.Sigmoid}
"""Modules of a row's `se`."""

_BATCH_NORM = norm_layer("bn")
"""The norms of a block that is built alone."""


def build_block(
    row: Block, in_channels: int, norm: NormLayer = _BATCH_NORM, drop_rate: float = 0.0
) -> nn.Module:
    """The module of one block: maps [N, in_channels, H, W] to [N, row.channels, H', W'].

    `row.repeats` must be 1; `drop_rate` is the stochastic depth of a residual block.
    Raises `SpecError` for a padding that a residual connection doesn't allow.
    """
    assert row.repeats == 1, row
    match row.op:
        case "conv":
            return _conv_block(row, in_channels, norm)
        case "mbconv":
            return MBConv(row, in_channels, norm, drop_rate)
        case "mbpool":
            return _mbpool(row, in_channels, norm)


def is_residual(row: Block, in_channels: int) -> bool:
    """Whether the block adds its input to its output."""
    return row.op == "mbconv" and row.stride == 1 and row.channels == in_channels


class MBConv(nn.Module):
    """Inverted residual: expansion, upsampling, depthwise, squeeze-and-excitation, projection.

    Expansion, upsampling and squeeze-and-excitation are there if the row asks for them.
    """

    def __init__(
        self, row: Block, in_channels: int, norm: NormLayer = _BATCH_NORM, drop_rate: float = 0.0
    ) -> None:
        super().__init__()
        self.residual = is_residual(row, in_channels)
        _check_padding(row, self.residual)
        self.layers = nn.Sequential(_mbconv_layers(row, in_channels, norm))
        self.drop = StochasticDepth(drop_rate, mode="row")

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.layers(x)
        if self.residual:
            out = x + self.drop(out)
        return out


class SameConv2d(nn.Conv2d):
    """A convolution that pads as TensorFlow's SAME: an output for every `stride` pixels, rounded up.

    The padding depends on the map's side; what cannot be halved is one more at the bottom and right.
    """

    def __init__(
        self, channels: int, out: int, kernel: int, stride: int, groups: int = 1, bias: bool = True
    ) -> None:
        super().__init__(channels, out, kernel, stride, groups=groups, bias=bias)
        self.padding = "same"

    def forward(self, input: Tensor) -> Tensor:
        down, across = self._total(input.shape[2]), self._total(input.shape[3])
        padding = [across // 2, across - across // 2, down // 2, down - down // 2]
        padded = F.pad(input, padding)
        if not torch.jit.is_scripting() and self.groups == self.in_channels > 1:
            return depthwise_conv2d(padded, self.weight, self.bias, self.stride, (0, 0))
        return F.conv2d(padded, self.weight, self.bias, self.stride, 0, 1, self.groups)

    def _total(self, side: int) -> int:
        """The zeros that a side of the map gets, before and behind it together."""
        kernel, stride = self.kernel_size[0], self.stride[0]
        if kernel < stride:  # a 1x1 kernel reads only pixels of the map
            return 0
        return kernel - stride + (stride - side % stride) % stride


def _mbconv_layers(row: Block, in_channels: int, norm: NormLayer) -> OrderedDict[str, nn.Module]:
    assert row.expansion is not None
    assert row.kernel is not None
    hidden = int(hidden_width(in_channels, row.expansion))
    activation = _ACTIVATIONS[row.activation]
    layers: OrderedDict[str, nn.Module] = OrderedDict()
    if hidden != in_channels:
        layers["expand"] = _conv(in_channels, hidden, norm, activation)
    if row.stride == -2:
        layers["upsample"] = nn.Upsample(scale_factor=2, mode="nearest")
    layers["depthwise"] = _padded(
        row,
        hidden,
        hidden,
        groups=hidden,
        norm_layer=None if row.depthwise == "bare" else norm,
        activation_layer=None if row.depthwise == "bare" else activation,
        bias=False,
    )
    if row.se != "none":
        squeezed = int(squeeze_width(hidden, row.expansion, row.squeeze == "hidden"))
        layers["se"] = SqueezeExcitation(hidden, squeezed, activation, _GATES[row.se])
    layers["project"] = _conv(hidden, row.channels, norm, None)
    return layers


def _conv_block(row: Block, in_channels: int, norm: NormLayer) -> nn.Module:
    return _padded(
        row,
        in_channels,
        row.channels,
        norm_layer=norm,
        activation_layer=_ACTIVATIONS[row.activation],
        bias=row.bias,
    )


def _padded(
    row: Block,
    channels: int,
    out: int,
    *,
    norm_layer: NormLayer | None,
    activation_layer: type[nn.Module] | None,
    bias: bool,
    groups: int = 1,
) -> nn.Module:
    """The convolution of a row, with its kernel, stride and padding; norm and activation if any."""
    assert row.kernel is not None
    same = row.padding == "same"
    stride = max(row.stride, 1)
    block: nn.Sequential = Conv2dNormActivation(
        channels,
        out,
        row.kernel,
        stride,
        None if same else row.padding,
        groups=groups,
        norm_layer=norm_layer,
        activation_layer=activation_layer,
        inplace=None,
        bias=bias,
    )
    if same and stride > 1:  # with stride 1 it is half of the kernel on every side
        block[0] = SameConv2d(channels, out, row.kernel, stride, groups, bias)
    elif groups == channels > 1:
        conv = block[0]
        assert isinstance(conv, nn.Conv2d)
        block[0] = DepthwiseConv2d.of(conv)
    return block


def _mbpool(row: Block, in_channels: int, norm: NormLayer) -> nn.Module:
    assert row.expansion is not None
    hidden = int(hidden_width(in_channels, row.expansion))
    activation = _ACTIVATIONS[row.activation]
    layers: OrderedDict[str, nn.Module] = OrderedDict()
    layers["expand"] = _conv(in_channels, hidden, norm, activation)
    layers["pool"] = nn.AdaptiveAvgPool2d(1)
    layers["project"] = nn.Conv2d(hidden, row.channels, 1, bias=False)
    layers["activation"] = activation()
    return nn.Sequential(layers)


def _conv(channels: int, out: int, norm: NormLayer, activation: type[nn.Module] | None) -> nn.Module:
    """1x1 convolution without bias, norm, and the activation if any."""
    layer: nn.Module = Conv2dNormActivation(
        channels,
        out,
        kernel_size=1,
        norm_layer=norm,
        activation_layer=activation,
        inplace=None,
        bias=False,
    )
    return layer


def _check_padding(row: Block, residual: bool) -> None:
    assert row.kernel is not None
    same = row.kernel // 2
    if residual and row.padding not in (None, "same", same):
        rule = f"an mbconv that keeps stride and channels adds its input, so kernel {row.kernel} needs"
        raise SpecError(f"{rule} padding {same}, got {row.padding}")
