"""Draws random boxes in images, and cuts them out at any resolution."""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torchvision.ops import roi_align

from nars.data.augment import resize

__all__ = ["cut_out", "cut_out_on_gpu", "pixels_needed", "random_boxes", "random_crops"]

_CROP_ASPECT = 4 / 3
"""Largest aspect of a crop, in width or height. Source: Inception (CVPR 2015), section 6."""


def random_crops(count: int, least_area: float, generator: torch.Generator) -> Tensor:
    """Boxes [count, 4] of random resized crops, whose area is `least_area` to 1 of the image's."""
    return random_boxes(count, (least_area, 1.0), _CROP_ASPECT, generator)


def random_boxes(count: int, area: tuple[float, float], aspect: float, generator: torch.Generator) -> Tensor:
    """Boxes [count, 4] inside a square, in 0..1: left, top, right, bottom.

    The area is uniform between the ends of `area`; the logarithm of width over height is uniform up to that
    of `aspect` either way, and narrower if a box would not fit. The position is uniform.
    """
    areas, aspects, *places = torch.rand(4, count, generator=generator)
    areas = area[0] + areas * (area[1] - area[0])
    reach = (-areas.log()).clamp(max=math.log(aspect))  # of an aspect of 1 / area the width is 1
    ratio = ((2 * aspects - 1) * reach).exp()
    sides = torch.stack([(areas * ratio).sqrt(), (areas / ratio).sqrt()], dim=1).clamp(max=1)
    corner = torch.stack(places, dim=1) * (1 - sides)
    return torch.cat([corner, corner + sides], dim=1)


def cut_out(image: Tensor, box: Tensor, resolution: int) -> Tensor:
    """The pixels of uint8 [C, S, S] in a box [4], as uint8 [C, R, R]: bilinear, antialiased if it shrinks."""
    side = image.shape[-1]
    left, top, right, bottom = (box * side).round().int().tolist()
    left, top = min(left, side - 1), min(top, side - 1)
    part = image[None, :, top : max(bottom, top + 1), left : max(right, left + 1)]
    return resize(part, resolution)[0]


def cut_out_on_gpu(images: Tensor, boxes: Tensor, resolution: int) -> Tensor:
    """The pixels of uint8 [N, C, S, S] in a box each of [N, 4], as uint8 [N, C, R, R], in one operation.

    Every pixel is the mean of the bilinear samples that `roi_align` takes in its part of the box.
    """
    numbers = torch.arange(len(boxes), device=boxes.device, dtype=boxes.dtype)
    places = torch.cat([numbers[:, None], boxes * images.shape[-1]], dim=1)
    cut: Tensor = roi_align(images.float(), places, resolution, aligned=True)
    return cut.round_().clamp_(0, 255).to(torch.uint8)


def pixels_needed(box: Tensor, resolution: int) -> int:
    """The side at which an image has at least `resolution` pixels along each side of `box` [4]."""
    return math.ceil(resolution / float((box[2:] - box[:2]).min()))
