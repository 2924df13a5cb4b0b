"""The changes of TrivialAugment and RandAugment for a whole batch at once, as a GPU needs them.

torchvision changes one image at a time; on a GPU every image would cost a dozen launches. Here the images
that got the same kind of change are changed together, each by its own strength. Pixels differ by at most one
level from torchvision's.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor
from torchvision.transforms.v2 import functional as vision

__all__ = ["Change", "changed"]

Change = tuple[str, float]
"""torchvision's name of a change, and its strength in torchvision's units."""

_GEOMETRIC = frozenset({"ShearX", "ShearY", "TranslateX", "TranslateY", "Rotate"})
_BLENDS = frozenset({"Brightness", "Color", "Contrast", "Sharpness"})

_BLUR = torch.tensor([[1.0, 1, 1], [1, 5, 1], [1, 1, 1]]) / 13
"""The blur that sharpness is against. Source: ``ImageFilter.SMOOTH`` of Pillow."""

_GREY = (0.2989, 0.587, 0.114)
"""Weights of red, green and blue in grey. Source: ITU-R BT.601, as torchvision rounds it."""


def changed(images: Tensor, changes: Sequence[Change]) -> Tensor:
    """Apply one change to each image of uint8 [N, 1 or 3, R, R]."""
    groups: dict[str, list[int]] = {}
    for number, (name, _) in enumerate(changes):
        groups.setdefault("Geometric" if name in _GEOMETRIC else name, []).append(number)
    images = images.clone()
    for name, numbers in groups.items():
        if name == "Identity":
            continue
        chosen = [changes[number] for number in numbers]
        where = torch.tensor(numbers).to(images.device, non_blocking=True)
        images[where] = _change(images[where], name, chosen)
    return images


def _change(images: Tensor, name: str, changes: Sequence[Change]) -> Tensor:
    """The images after changes of one kind."""
    if name == "Geometric":
        return _moved(images, changes)
    strengths = torch.tensor([strength for _, strength in changes]).to(images.device, non_blocking=True)
    strengths = strengths.view(-1, 1, 1, 1)
    if name in _BLENDS:
        return _blended(images, name, 1 + strengths)
    match name:
        case "Posterize":
            return images & (256 - 2 ** (8 - strengths)).to(torch.uint8)
        case "Solarize":
            return torch.where(images >= 255 * strengths, 255 - images, images)
        case "Invert":
            return 255 - images
        case "AutoContrast":
            return cast(Tensor, vision.autocontrast(images))
        case _:
            assert name == "Equalize", name
            return cast(Tensor, vision.equalize(images))


def _moved(images: Tensor, changes: Sequence[Change]) -> Tensor:
    """The images moved; what comes from outside is black."""
    side = images.shape[-1]
    matrices = torch.stack([_matrix(name, strength, side) for name, strength in changes])
    matrices = matrices.to(images.device, non_blocking=True)
    grid = F.affine_grid(matrices, list(images.shape), align_corners=False)
    moved = F.grid_sample(images.float(), grid, mode="bilinear", padding_mode="zeros", align_corners=False)
    return moved.round_().to(torch.uint8)


def _matrix(name: str, strength: float, side: int) -> Tensor:
    """The matrix [2, 3] that leads from a place of the result to one of the image, both in -1..1."""
    match name:  # a shear leaves the upper left corner in place
        case "ShearX":
            rows = [[1.0, strength, strength], [0.0, 1.0, 0.0]]
        case "ShearY":
            rows = [[1.0, 0.0, 0.0], [strength, 1.0, strength]]
        case "TranslateX":
            rows = [[1.0, 0.0, -2 * int(strength) / side], [0.0, 1.0, 0.0]]
        case "TranslateY":
            rows = [[1.0, 0.0, 0.0], [0.0, 1.0, -2 * int(strength) / side]]
        case _:
            angle = torch.tensor(strength).deg2rad()
            cos, sin = float(angle.cos()), float(angle.sin())
            rows = [[cos, -sin, 0.0], [sin, cos, 0.0]]
    return torch.tensor(rows)


def _blended(images: Tensor, name: str, factors: Tensor) -> Tensor:
    """The images mixed with what they are without a property, by `factors` [N, 1, 1, 1]; 1 leaves them."""
    if name == "Color" and images.shape[1] == 1:
        return images
    if name == "Sharpness" and images.shape[-1] < _BLUR.shape[-1]:  # all of it is border
        return images
    floats = images.float()
    match name:
        case "Brightness":
            other = torch.zeros_like(floats)
        case "Color":
            other = _grey(floats)
        case "Contrast":
            other = _grey(floats).mean((1, 2, 3), keepdim=True)
        case _:
            other = _blurred(floats)
    return (floats * factors + other * (1 - factors)).clamp_(0, 255).to(torch.uint8)


def _grey(images: Tensor) -> Tensor:
    """Images [N, 1 or 3, R, R] in whole grey levels, [N, 1, R, R]."""
    if images.shape[1] == 1:
        return images
    red, green, blue = (images[:, channel] * weight for channel, weight in enumerate(_GREY))
    return (red + green + blue).floor_()[:, None]


def _blurred(images: Tensor) -> Tensor:
    """The images blurred; pixels of the border stay as they are."""
    channels = images.shape[1]
    blur = _BLUR.to(images.device, non_blocking=True).expand(channels, 1, 3, 3)
    blurred = images.clone()
    blurred[..., 1:-1, 1:-1] = F.conv2d(images, blur, groups=channels).round_()
    return blurred
