"""Anchor boxes: their positions on the maps, and sizes that suit a data set."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torchvision.models.detection.anchor_utils import AnchorGenerator
from torchvision.models.detection.image_list import ImageList

from nars.errors import DataError

__all__ = ["Anchors", "fit_anchors", "sizes_of"]

_LARGEST_ROUNDS = 100
"""Rounds of k-means after which it stops, converged or not."""


class Anchors(AnchorGenerator):  # type: ignore[misc]  # torchvision has no types
    """Anchors at fixed strides, in float32 or better for maps of any precision.

    As the published weights expect, anchors are not rounded, all ratios of a size are next to
    each other, and the first cell's centre is at (0, 0). torchvision's own anchors are rounded
    and in the opposite order, and their stride is guessed from the padded image: 15 instead of 16
    if its side is not a multiple of 16.
    """

    def __init__(
        self, sizes: Sequence[Sequence[float]], ratios: Sequence[float], strides: Sequence[int]
    ) -> None:
        super().__init__(tuple(map(tuple, sizes)), (tuple(ratios),) * len(sizes))
        assert len(sizes) == len(strides), (sizes, strides)
        self.strides = tuple(strides)
        self._shared: dict[tuple[object, ...], Tensor] = {}

    def generate_anchors(
        self,
        scales: Sequence[float],
        aspect_ratios: Sequence[float],
        dtype: torch.dtype = torch.float64,
        device: torch.device | str = "cpu",
    ) -> Tensor:
        """Return boxes [sizes * ratios, 4] around the origin."""
        sizes = torch.as_tensor(scales, dtype=dtype, device=device)[:, None]
        roots = torch.as_tensor(aspect_ratios, dtype=dtype, device=device).sqrt()
        halves = torch.stack((sizes / roots, sizes * roots), dim=-1).reshape(-1, 2) / 2
        return torch.cat((-halves, halves), dim=1)

    def shared(self, feature_maps: list[Tensor]) -> Tensor:
        """Return the anchors [A, 4] that all images of a training batch have; made once per shape."""
        feature = feature_maps[0]
        key = (feature.dtype, feature.device, *(tuple(each.shape[-2:]) for each in feature_maps))
        if key not in self._shared:
            self._shared[key] = self._on(feature_maps)
        return self._shared[key]

    def forward(self, image_list: ImageList, feature_maps: list[Tensor]) -> list[Tensor]:
        """Return the anchors [A, 4] of every image, which are the same, row by row over the maps."""
        return [self._on(feature_maps)] * len(image_list.image_sizes)

    def _on(self, feature_maps: list[Tensor]) -> Tensor:
        dtype = torch.promote_types(feature_maps[0].dtype, torch.float32)
        anchors = []
        for cell, stride, feature in zip(self.cell_anchors, self.strides, feature_maps, strict=True):
            height, width = feature.shape[-2:]
            y = torch.arange(height, device=feature.device, dtype=dtype) * stride
            x = torch.arange(width, device=feature.device, dtype=dtype) * stride
            y, x = torch.meshgrid(y, x, indexing="ij")
            centres = torch.stack((x, y, x, y), dim=-1).reshape(-1, 1, 4)
            anchors.append((centres + cell.to(feature.device, dtype)).reshape(-1, 4))
        return torch.cat(anchors)


def fit_anchors(
    boxes: Tensor, maps: int = 1, sizes: int = 5, ratios: int = 3
) -> tuple[tuple[tuple[float, ...], ...], tuple[float, ...]]:
    """Fit `anchor_sizes` and `anchor_ratios` of `detector.Settings` to training boxes by k-means.

    `boxes` [N, 4] are left, top, right, bottom in pixels of the resized images. Sizes and ratios
    are clustered separately, on a logarithmic scale, so a factor counts the same at any size.
    Each of the `maps` gets `sizes` sizes, the first map the smallest. Raises `DataError` for boxes
    of too few different sizes.
    """
    logs, shapes = _logarithms(boxes)
    size_centres = _clusters(logs, maps * sizes, "sizes").exp().tolist()
    ratio_centres = _clusters(shapes, ratios, "ratios", needs_all=False).exp().tolist()
    rounded = [round(size, 1) for size in size_centres]
    per_map = tuple(tuple(rounded[index * sizes : (index + 1) * sizes]) for index in range(maps))
    return per_map, tuple(round(ratio, 3) for ratio in ratio_centres)


def sizes_of(boxes: Tensor) -> int:
    """How many different sizes boxes [N, 4] have for `fit_anchors`."""
    return len(_logarithms(boxes)[0].unique())


def _logarithms(boxes: Tensor) -> tuple[Tensor, Tensor]:
    """Logarithms of sizes and of ratios, height over width, of the boxes [N, 4] that have an area."""
    sides = boxes[:, 2:].double() - boxes[:, :2].double()
    width, height = sides[(sides > 0).all(1)].unbind(1)
    return (width * height).sqrt().log(), (height / width).log()


def _clusters(values: Tensor, count: int, what: str, needs_all: bool = True) -> Tensor:
    """Return sorted centres of one-dimensional k-means, started at quantiles, so nothing is random.

    scikit-learn's `KMeans` is not used, because it moves a centre without members elsewhere.
    """
    different = len(values.unique())
    if different < count and (needs_all or not different):
        raise DataError(f"{count} anchor {what} need boxes of {count} different {what}, got {different}")
    count = min(count, different)
    centres = torch.quantile(values.unique(), (torch.arange(count, dtype=values.dtype) + 0.5) / count)
    for _ in range(_LARGEST_ROUNDS):
        nearest = (values[:, None] - centres).abs().argmin(1)
        totals = torch.zeros_like(centres).index_add_(0, nearest, values)
        members = torch.bincount(nearest, minlength=count)
        moved = torch.where(members > 0, totals / members.clamp(min=1), centres)
        if torch.equal(moved, centres):
            break
        centres = moved
    return centres.sort().values
