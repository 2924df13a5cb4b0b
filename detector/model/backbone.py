"""The feature maps of a detector: the trunk's last one (C4), or those of a feature pyramid."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from functools import partial
from typing import Self

import torch.nn.functional as F
from torch import Tensor, nn
from torchvision.ops import Conv2dNormActivation

from detector.model.parts import Parts
from nars.errors import UsageError
from nars.networks.build import Features
from nars.networks.norms import Norm, norm, norm_layer

__all__ = ["Backbone"]


class Backbone(nn.Module):
    """Turns images [N, 3, H, W] into an ordered dictionary of maps [N, out_channels, h, w].

    `names` and `strides` list the maps: ``c4``, or ``p2``, ``p3``, ..., where the number is the
    power of two of the stride. The first `freeze` stages keep their weights and norm statistics
    in training, too.
    """

    def __init__(self, parts: Parts, kind: Norm, freeze: int = 0) -> None:
        super().__init__()
        if freeze > len(parts.trunk):
            raise UsageError(
                f"freeze must be at most the {len(parts.trunk)} stages of {parts.name}, got {freeze}"
            )
        trunk = Features(parts.trunk, norm=norm_layer(kind, parts.norm_eps, parts.norm_momentum))
        strides = [int(stride) for stride in trunk.strides]
        self.names: tuple[str, ...] = ("c4",)
        self.strides: tuple[int, ...] = (strides[-1],)
        self.out_channels = parts.channels
        # The pyramid comes first, because that is the published order of tensors.
        self.fpn = None if parts.fpn is None else Pyramid(trunk.out_channels[1:], parts.fpn, kind)
        self.trunk = trunk
        if self.fpn is not None:
            self.strides = (*strides[1:], 2 * strides[-1])
            self.names = tuple(f"p{stride.bit_length() - 1}" for stride in self.strides)
        self.frozen = freeze
        for stage in trunk.stages[:freeze]:
            stage.requires_grad_(False)

    def train(self, mode: bool = True) -> Self:
        super().train(mode)
        for stage in self.trunk.stages[: self.frozen]:
            stage.eval()  # keeps norms from using and tracking the batch
        return self

    def forward(self, images: Tensor) -> OrderedDict[str, Tensor]:
        maps = self.trunk(images)
        maps = maps[-1:] if self.fpn is None else self.fpn(maps[1:])
        return OrderedDict(zip(self.names, maps, strict=True))


class Pyramid(nn.Module):
    """A feature pyramid with norms, plus a coarser map made of every other pixel of its last one.

    `torchvision.ops.FeaturePyramidNetwork` computes the same, but orders its tensors differently.
    Source: Feature Pyramid Networks (CVPR 2017).
    """

    def __init__(self, in_channels: Sequence[int], channels: int, kind: Norm) -> None:
        super().__init__()
        layer = partial(
            Conv2dNormActivation, norm_layer=partial(norm, kind), activation_layer=None, inplace=None
        )
        levels = [
            nn.ModuleDict({"lateral": layer(width, channels, 1), "output": layer(channels, channels, 3)})
            for width in in_channels
        ]
        self.levels = nn.ModuleList(levels)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_uniform_(module.weight, a=1)

    def forward(self, maps: list[Tensor]) -> list[Tensor]:
        finer: list[Tensor] = []
        above: Tensor | None = None
        for level, x in zip(reversed(list(self.levels)), reversed(maps), strict=True):
            assert isinstance(level, nn.ModuleDict)
            merged = level["lateral"](x)
            if above is not None:
                merged = merged + F.interpolate(above, size=merged.shape[-2:], mode="nearest")
            above = merged
            finer.insert(0, level["output"](merged))
        return [*finer, F.max_pool2d(finer[-1], kernel_size=1, stride=2)]
