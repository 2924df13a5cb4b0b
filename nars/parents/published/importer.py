"""Reads the architecture of another library's network off its layers.

Networks of MBConv blocks are the same sequence of layers in every library: a stem; blocks of an expansion
(absent if it would not widen), a depthwise convolution, squeeze-and-excitation and a projection; a head of
1x1 convolutions. `Facts` state what the layers do not show, activations and gates.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from torch import nn

from nars.errors import WeightsError
from nars.spec import Architecture, Block

__all__ = ["Facts", "architecture_of"]


@dataclass(frozen=True)
class Facts:
    """The properties of a family that its layers do not show."""

    activation: Literal["hswish", "relu", "relu6", "silu"]
    gate: Literal["hsigmoid", "sigmoid"] = "sigmoid"
    """The gate of squeeze-and-excitation, in the blocks that have it."""
    squeeze: Literal["input", "hidden"] = "input"
    """Whether squeeze-and-excitation keeps a quarter of a block's input channels, or of its hidden ones."""


@dataclass(frozen=True)
class _Layer:
    """A convolution, and the norm after it if there is one."""

    conv: nn.Conv2d
    norm: nn.BatchNorm2d | None

    @property
    def is_depthwise(self) -> bool:
        return self.conv.groups == self.conv.in_channels > 1


def architecture_of(network: nn.Module, facts: Facts, name: str, resolution: int) -> Architecture:
    """The architecture of a network whose modules are listed in the order of its forward pass.

    Every block with a stride begins a stage, and the stem and the head are stages of their own, as
    in the published networks. Raises `WeightsError` for layers that are not those of such blocks.
    """
    layers = _layers(network)
    norm = layers[0].norm if layers else None
    if norm is None or norm.momentum is None:
        raise WeightsError(f"{name}: does not start with a convolution and a batch norm")
    stem = _conv(layers[0], facts)
    blocks, start = [], 1
    while (end := _block_end(layers, start)) is not None:
        blocks.append(_mbconv(layers[start:end], facts, name))
        start = end
    return Architecture(
        name=name,
        resolution=resolution,
        in_channels=layers[0].conv.in_channels,
        norm_eps=norm.eps,
        norm_momentum=norm.momentum,
        stages=[[stem], *map(_rows, _stages(blocks)), *_head(layers[start:], facts, name)],
    )


def _layers(network: nn.Module) -> list[_Layer]:
    modules = [module for module in network.modules() if isinstance(module, nn.Conv2d | nn.BatchNorm2d)]
    layers = []
    for module, following in itertools.zip_longest(modules, modules[1:]):
        if isinstance(module, nn.Conv2d):
            layers.append(_Layer(module, following if isinstance(following, nn.BatchNorm2d) else None))
    return layers


def _block_end(layers: Sequence[_Layer], start: int) -> int | None:
    """The number of the layer after the block that begins at `start`; None if none begins there."""
    if not any(layer.is_depthwise for layer in layers[start : start + 2]):
        return None
    depthwise = start if layers[start].is_depthwise else start + 1
    later = range(depthwise + 1, len(layers))
    return next((number + 1 for number in later if layers[number].norm is not None), None)


def _mbconv(layers: Sequence[_Layer], facts: Facts, name: str) -> Block:
    """The block of these layers: an expansion, depthwise, two that squeeze and excite, projection.

    The expansion and the two may be absent.
    """
    first, project = layers[0].conv, layers[-1].conv
    at = 0 if layers[0].is_depthwise else 1
    depthwise, gates = layers[at].conv, len(layers) - at - 2
    if gates not in (0, 2):
        raise WeightsError(f"{name}: a block has {gates} convolutions between depthwise and projection")
    return Block(
        op="mbconv",
        channels=project.out_channels,
        expansion=_ratio(depthwise.out_channels, first.in_channels),
        se=facts.gate if gates else "none",
        squeeze=facts.squeeze if gates else "input",
        activation=facts.activation,
        **_geometry(depthwise),
    )


def _conv(layer: _Layer, facts: Facts) -> Block:
    conv = layer.conv
    return Block(
        op="conv",
        channels=conv.out_channels,
        activation=facts.activation,
        bias=conv.bias is not None,
        **_geometry(conv),
    )


def _geometry(conv: nn.Conv2d) -> dict[str, Any]:
    """Kernel, stride and padding of a convolution; a subclass of torch's without padding pads by itself."""
    kernel, stride = conv.kernel_size[0], conv.stride[0]
    padding: Any = None if conv.padding[0] == kernel // 2 else conv.padding[0]
    if padding == 0 and type(conv) is not nn.Conv2d:
        padding = "same"
    return {"kernel": kernel, "stride": stride, "padding": padding if stride > 1 else None}


def _head(layers: Sequence[_Layer], facts: Facts, name: str) -> Iterator[list[Block]]:
    """The stage of the last layers: a 1x1 convolution, or one, the average pool and another; or none."""
    match [(layer.conv.kernel_size[0], layer.norm is not None) for layer in layers]:
        case []:
            return
        case [(1, True)]:
            yield [_conv(layers[0], facts)]
        case [(1, True), (1, False)]:
            first, last = (layer.conv for layer in layers)
            expansion = _ratio(first.out_channels, first.in_channels)
            yield [
                Block(
                    op="mbpool", channels=last.out_channels, expansion=expansion, activation=facts.activation
                )
            ]
        case kinds:
            raise WeightsError(
                f"{name}: {len(kinds)} convolutions after the last block are none of this family"
            )


def _ratio(wide: int, narrow: int) -> int | float:
    return wide // narrow if wide % narrow == 0 else wide / narrow


def _stages(blocks: Sequence[Block]) -> list[list[Block]]:
    """The blocks cut before each that has a stride."""
    stages: list[list[Block]] = []
    for block in blocks:
        if block.stride != 1 or not stages:
            stages.append([])
        stages[-1].append(block)
    return stages


def _rows(blocks: Sequence[Block]) -> list[Block]:
    """The rows of a stage: equal blocks, one after the other, are one."""
    rows: list[Block] = []
    for block in blocks:
        if rows and block == rows[-1].single(1):
            rows[-1] = rows[-1].replace(repeats=rows[-1].repeats + 1)
        else:
            rows.append(block)
    return rows
