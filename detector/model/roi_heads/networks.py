"""The networks that are applied to pooled regions: box head, box predictor, mask head and mask predictor."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from detector.model.parts import Parts
from detector.model.settings import Settings
from nars.errors import SpecError
from nars.networks.build import Features, smallest_side
from nars.networks.norms import norm_layer
from nars.spec import Block

__all__ = ["BoxHead", "BoxPredictor", "MaskHead", "mask_predictor_of"]


class BoxHead(nn.Module):
    """Applies C5 to each pooled region and averages: [R, C, S, S] to [R, out_channels]."""

    def __init__(self, parts: Parts, settings: Settings) -> None:
        super().__init__()
        norms = norm_layer(settings.norm, parts.norm_eps, parts.norm_momentum)
        self.stages = Features([parts.box], parts.channels, norms)
        self.out_channels = self.stages.out_channels[-1]
        _check_resolution("pooler_resolution", settings.pooler_resolution, parts.box)

    def forward(self, regions: Tensor) -> Tensor:
        pooled: Tensor = self.stages(regions)[-1].mean((2, 3))
        return pooled


class BoxPredictor(nn.Module):
    """Turns features [R, C] into class scores [R, K + 1], background last, and box deltas [R, 4 * K].

    Fresh weights are small as in detectron2, so training starts with small deltas.
    """

    def __init__(self, channels: int, num_classes: int) -> None:
        super().__init__()
        self.cls_score = nn.Linear(channels, num_classes + 1)
        self.bbox_pred = nn.Linear(channels, num_classes * 4)
        for layer, std in ((self.cls_score, 0.01), (self.bbox_pred, 0.001)):
            nn.init.normal_(layer.weight, std=std)
            nn.init.zeros_(layer.bias)

    def forward(self, regions: Tensor) -> tuple[Tensor, Tensor]:
        scores, deltas = self.cls_score(regions), self.bbox_pred(regions)
        precise = torch.promote_types(scores.dtype, torch.float32)
        return scores.to(precise), deltas.to(precise)


class MaskHead(nn.Module):
    """Turns pooled regions [R, C, S, S] into maps [R, out_channels, M, M]; M is 2 * S as published."""

    def __init__(self, parts: Parts, settings: Settings) -> None:
        super().__init__()
        if parts.mask is None:
            remedy = "a search with --mask finds detectors that have one"
            raise SpecError(f"{parts.name} has no mask head, so mask must be off; {remedy}")
        norms = norm_layer(settings.norm, parts.norm_eps, parts.norm_momentum)
        self.stages = Features([parts.mask], parts.channels, norms)
        self.out_channels = self.stages.out_channels[-1]
        _check_resolution("mask_pooler_resolution", settings.mask_pooler_resolution, parts.mask)

    def forward(self, regions: Tensor) -> Tensor:
        maps: Tensor = self.stages(regions)[-1]
        return maps


def mask_predictor_of(channels: int, num_classes: int) -> nn.Conv2d:
    layer = nn.Conv2d(channels, num_classes, 1)
    nn.init.normal_(layer.weight, std=0.001)
    assert layer.bias is not None
    nn.init.zeros_(layer.bias)
    return layer


def _check_resolution(setting: str, resolution: int, rows: Sequence[Block]) -> None:
    """Raise `SpecError` for regions smaller than the head's stride or than its kernels need."""
    stride = 2 ** sum(row.stride == 2 for row in rows)
    smallest = max(stride, smallest_side([rows]))
    if resolution < smallest:
        rule = f"{setting} must be at least {smallest} for a head of stride {stride}"
        raise SpecError(f"{rule}, got {resolution}")
