"""RoIAlign from one map, or from a pyramid: each region from the map that suits its size."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn
from torchvision.ops import roi_align

from detector.model.batched.regions import aligned

__all__ = ["Pooler"]

_CANONICAL_SIZE, _CANONICAL_STRIDE = 224, 16
"""A region of 224x224 pixels is pooled at stride 16 (FPN, CVPR 2017, equation 1)."""


class Pooler(nn.Module):
    """Pools regions [R, C, resolution, resolution] from the maps `names` with fixed `strides`.

    Regions are aligned to pixel centres and sampled once per pixel of the map, as in detectron2.
    torchvision's `MultiScaleRoIAlign` is off by half a pixel of the map, and keeps the scale that
    it guesses from the first image.
    """

    def __init__(self, names: Sequence[str], strides: Sequence[int], resolution: int) -> None:
        super().__init__()
        assert len(names) == len(strides), (names, strides)
        self.names = tuple(names)
        self.strides = tuple(strides)
        self.resolution = resolution

    def forward(
        self,
        features: Mapping[str, Tensor],
        boxes: list[Tensor],
        image_shapes: list[tuple[int, int]] | None = None,
    ) -> Tensor:
        """Pool the `boxes` [R_i, 4] of every image, in pixels of the batch; `image_shapes` is ignored."""
        owners = [torch.full_like(image_boxes[:, :1], index) for index, image_boxes in enumerate(boxes)]
        return self._pool(features, torch.cat([torch.cat(owners), torch.cat(boxes)], dim=1))

    def batched(self, features: Mapping[str, Tensor], boxes: Tensor, places: Tensor) -> Tensor:
        """Pool those of the `boxes` [N, S, 4] of N images that have the flat numbers `places` [R].

        Nothing is read back. Boxes are within their images.
        """
        feature = features[self.names[0]]
        if len(self.names) == 1 and feature.device.type == "cpu":
            precise = feature.to(torch.promote_types(feature.dtype, torch.float32))
            pooled = aligned(precise, boxes.to(precise.dtype) / self.strides[0], self.resolution)
            return pooled.index_select(0, places).permute(0, 3, 1, 2).to(feature.dtype)
        images = (places // boxes.shape[1])[:, None].to(boxes.dtype)
        regions = torch.cat([images, boxes.flatten(0, 1)[places]], dim=1)
        if len(self.names) == 1:
            return self._pool(features, regions)
        levels = self._levels(regions[:, 1:])[:, None]
        of_levels = [
            # A region of another map has no area here, takes no time, and is pooled to zeros.
            self._align(features[name], torch.where(levels == level, regions, 0.0), stride)
            for level, (name, stride) in enumerate(zip(self.names, self.strides, strict=True))
        ]
        return torch.stack(of_levels).sum(0)

    def _pool(self, features: Mapping[str, Tensor], regions: Tensor) -> Tensor:
        """Pool `regions` [R, 5], each the number of an image and a box."""
        maps = [features[name] for name in self.names]
        if len(maps) == 1:
            return self._align(maps[0], regions, self.strides[0])
        levels = self._levels(regions[:, 1:])
        pooled = maps[0].new_zeros(regions.shape[0], maps[0].shape[1], self.resolution, self.resolution)
        for level, (feature, stride) in enumerate(zip(maps, self.strides, strict=True)):
            index = torch.where(levels == level)[0]
            pooled = pooled.index_put((index,), self._align(feature, regions[index], stride))
        return pooled

    def _align(self, feature: Tensor, regions: Tensor, stride: int) -> Tensor:
        """Pool in float32 or better, because half precision moves boxes by a pixel.

        Regions keep the memory format of the map, which `roi_align` does not: few regions in another
        format than the network's take up to twice the time on one thread.
        """
        precise = feature.to(torch.promote_types(feature.dtype, torch.float32))
        pooled: Tensor = roi_align(
            precise, regions.to(precise.dtype), self.resolution, 1 / stride, sampling_ratio=0, aligned=True
        )
        if feature.is_contiguous(memory_format=torch.channels_last):
            pooled = pooled.contiguous(memory_format=torch.channels_last)
        return pooled.to(feature.dtype)

    def _levels(self, boxes: Tensor) -> Tensor:
        """Return the index [R] of the map that each of `boxes` [R, 4] is pooled from."""
        sides = (boxes[:, 2:] - boxes[:, :2]).clamp(min=0)
        steps = torch.log2(sides.prod(1).sqrt() / _CANONICAL_SIZE + 1e-8)
        first = round(math.log2(_CANONICAL_STRIDE / self.strides[0]))
        return torch.floor(steps + first).clamp(0, len(self.strides) - 1).long()
