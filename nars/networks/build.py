"""Builds networks from architectures: `build` makes a classifier, `features` a backbone.

The tensors of a classifier are in the published order. Module names are ours: the single blocks
are ``stages.{stage}.{block}`` in both, so a classifier's weights fit the backbone.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from fractions import Fraction

import torch
from torch import Tensor, nn
from torchvision.ops import Conv2dNormActivation

from nars.errors import DataError, SpecError, UsageError
from nars.foreign.limits import MOST_CLASSES, MOST_PARAMETERS
from nars.networks.blocks import MBConv, build_block, is_residual
from nars.networks.norms import Norm, NormLayer, norm_layer
from nars.spec import Architecture, Block, Recipe, unroll

__all__ = ["Classifier", "Features", "build", "features", "smallest_side"]

Stages = Sequence[Sequence[Block]]


def build(
    architecture: Architecture, num_classes: int, recipe: Recipe | None = None, norm: Norm = "bn"
) -> nn.Module:
    """A classifier with fresh weights: images [N, C, H, W] to logits [N, num_classes].

    Dropout and stochastic depth are the recipe's; without a recipe there are none. Raises `UsageError` for
    fewer than 1 class or an unknown norm, `SpecError` for a resolution that the stages can't take.
    """
    if num_classes < 1:
        raise UsageError(f"a classifier needs 1 class or more, got {num_classes}")
    weights = num_classes * architecture.stages[-1][-1].channels
    if num_classes > MOST_CLASSES or weights > MOST_PARAMETERS:
        raise SpecError(f"{architecture.name} with {num_classes} classes is too large to build")
    least = smallest_side(architecture.stages)
    if architecture.resolution < least:
        has = f"{architecture.name} has resolution {architecture.resolution}"
        raise SpecError(f"{has}, its stages need {least} pixels or more")
    return Classifier(architecture, num_classes, recipe or Recipe(), norm)


def features(architecture: Architecture, norm: Norm = "bn") -> nn.Module:
    """A backbone with fresh weights: images [N, C, H, W] to one map per stage, as a list.

    The module lists the channels and strides of its maps as `out_channels` and `strides`. A final
    mbpool or 1x1 convolution, the head of a classifier, is left out. Raises `UsageError` for an unknown norm.
    """
    norms = norm_layer(norm, architecture.norm_eps, architecture.norm_momentum)
    return Features(architecture.spatial_stages(), architecture.in_channels, norms)


class Classifier(nn.Module):
    """The classifier that `build` documents."""

    def __init__(self, architecture: Architecture, num_classes: int, recipe: Recipe, norm: Norm) -> None:
        super().__init__()
        self.in_channels = architecture.in_channels
        self.smallest_side = smallest_side(architecture.stages)
        norms = norm_layer(norm, architecture.norm_eps, architecture.norm_momentum)
        stages = _stages(architecture.stages, self.in_channels, norms, recipe.stochastic_depth)
        self.stages = nn.Sequential(*stages)
        classifier = nn.Conv2d(architecture.stages[-1][-1].channels, num_classes, 1)
        self.head = _head(classifier, recipe.dropout)
        _initialize(self)
        _zero_residual_branches(self)
        nn.init.normal_(classifier.weight, std=0.01)

    def forward(self, images: Tensor) -> Tensor:
        if not torch.jit.is_scripting():
            _check_images(images, self.in_channels, self.smallest_side)
        logits: Tensor = self.head(self.stages(images))
        return logits


class Features(nn.Module):
    """Stages of an architecture with the map of each as output: a backbone, or any part of one.

    It takes maps [N, in_channels, H, W]. `out_channels` and `strides` list, for each stage's map,
    its channels and how many input pixels (per side) one of its pixels covers: a fraction if the
    stages upsample.
    """

    def __init__(self, stages: Stages, in_channels: int = 3, norm: Norm | NormLayer = "bn") -> None:
        super().__init__()
        assert not any(row.op == "mbpool" for stage in stages for row in stage), "mbpool leaves no map"
        self.in_channels = in_channels
        self.smallest_side = smallest_side(stages)
        self.out_channels = [stage[-1].channels for stage in stages]
        self.strides = _strides(stages)
        norms = norm_layer(norm) if isinstance(norm, str) else norm
        self.stages = nn.ModuleList(_stages(stages, in_channels, norms))
        _initialize(self)

    def forward(self, x: Tensor) -> list[Tensor]:
        if not torch.jit.is_scripting():
            _check_images(x, self.in_channels, self.smallest_side)
        maps: list[Tensor] = []
        for stage in self.stages:
            x = stage(x)
            maps.append(x)
        return maps


def smallest_side(stages: Stages) -> int:
    """The fewest pixels per side with which every convolution of `stages` has an output."""
    side = 1
    for _, _, row in reversed(list(unroll(stages, 1))):
        if row.kernel is None:
            continue
        padding = row.padding if isinstance(row.padding, int) else row.kernel // 2  # SAME has as many outputs
        side = max(1, (side - 1) * max(row.stride, 1) + row.kernel - 2 * padding)
        if row.stride == -2:
            side = -(-side // 2)
    return side


def _stages(stages: Stages, in_channels: int, norm: NormLayer, drop_rate: float = 0.0) -> list[nn.Sequential]:
    """One module per stage; the drop rate of residual blocks grows linearly to `drop_rate`."""
    blocks = list(unroll(stages, in_channels))
    residuals = sum(is_residual(row, channels) for _, channels, row in blocks)
    modules: list[list[nn.Module]] = [[] for _ in stages]
    seen = 0
    for index, channels, row in blocks:
        seen += is_residual(row, channels)
        rate = drop_rate * seen / max(residuals, 1)
        modules[index].append(build_block(row, channels, norm, rate))
    return [nn.Sequential(*stage) for stage in modules]


def _head(classifier: nn.Conv2d, dropout: float) -> nn.Sequential:
    layers: OrderedDict[str, nn.Module] = OrderedDict()
    layers["pool"] = nn.AdaptiveAvgPool2d(1)  # as published, though an mbpool has already pooled
    layers["dropout"] = nn.Dropout(dropout)
    layers["classifier"] = classifier
    layers["flatten"] = nn.Flatten()
    return nn.Sequential(layers)


def _strides(stages: Stages) -> list[float]:
    """Cumulative strides of the stages, as ints if they are whole."""
    strides: list[float] = []
    stride = Fraction(1)
    for stage in stages:
        for row in stage:
            stride *= Fraction(1, 2) if row.stride == -2 else row.stride
        strides.append(int(stride) if stride.denominator == 1 else float(stride))
    return strides


def _initialize(network: nn.Module) -> None:
    """Weights N(0, 2 / (kernel area * output channels)), biases 0; norms start as identity."""
    for module in network.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
            if module.bias is not None:
                nn.init.zeros_(module.bias)


def _zero_residual_branches(network: nn.Module) -> None:
    """Let residual blocks start as the identity, if their last norm can learn otherwise."""
    for module in network.modules():
        if isinstance(module, MBConv) and module.residual:
            project = module.layers.project
            assert isinstance(project, Conv2dNormActivation)
            if isinstance(project[1].weight, nn.Parameter):
                nn.init.zeros_(project[1].weight)


def _check_images(images: Tensor, in_channels: int, least: int) -> None:
    """Raise `DataError` for a batch that the network can't take; compiled networks skip this."""
    if torch.compiler.is_compiling() or torch.jit.is_tracing():
        return
    if images.dim() != 4 or images.shape[1] != in_channels:
        expected = f"[N, {in_channels}, H, W]"
        raise DataError(f"this network takes images {expected}, got {list(images.shape)}")
    height, width = images.shape[2:]
    if min(height, width) < least:
        raise DataError(f"this network takes images of {least} pixels or more per side, got {height}x{width}")
