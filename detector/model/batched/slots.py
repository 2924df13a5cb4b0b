"""A batch of images and their objects in tensors of fixed shape: slots for objects, and which are filled."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from detector.model.targets import Target

__all__ = ["Batch", "Slots", "enlarged", "slots_for", "slots_of"]

_STEP = 8
"""The number of slots is a multiple of this, so few different shapes are met."""


class Slots(NamedTuple):
    """The objects of N images in G slots each; slots that are not `filled` hold zeros."""

    boxes: Tensor
    """Left, top, right, bottom [N, G, 4] in pixels of the batch."""
    labels: Tensor
    """Classes [N, G], 1..K."""
    filled: Tensor
    """Whether a slot holds an object, bool [N, G]."""
    masks: Tensor | None = None
    """Pixels of the objects, uint8 [N, G, H, W], if the detector segments."""


class Batch(NamedTuple):
    """A training batch as the network takes it."""

    images: Tensor
    """Normalized images [N, 3, H, W], padded with zeros to the right and below."""
    sizes: Tensor
    """Height and width [N, 2] of the images within the padding, in the type of the boxes."""
    slots: Slots


def slots_for(count: int) -> int:
    """Return how many slots a batch has whose fullest image has `count` objects: at least that, and one."""
    return max(1, -(-count // _STEP)) * _STEP


def slots_of(targets: Sequence[Target], size: tuple[int, int], masks: bool, least: int = 0) -> Slots:
    """Put the objects of images into slots, at least `least` of them; masks are padded to `size`."""
    most = slots_for(max(least, *(len(target["boxes"]) for target in targets)))
    boxes = targets[0]["boxes"]
    shape = (len(targets), most)
    slots = Slots(
        boxes.new_zeros(*shape, 4),
        torch.zeros(shape, dtype=torch.int64, device=boxes.device),
        torch.zeros(shape, dtype=torch.bool, device=boxes.device),
        torch.zeros(*shape, *size, dtype=torch.uint8, device=boxes.device) if masks else None,
    )
    for index, target in enumerate(targets):
        count = len(target["boxes"])
        slots.boxes[index, :count] = target["boxes"]
        slots.labels[index, :count] = target["labels"]
        slots.filled[index, :count] = True
        if slots.masks is not None:
            height, width = target["masks"].shape[1:]
            slots.masks[index, :count, :height, :width] = target["masks"]
    return slots


def enlarged(batch: Batch, height: int, width: int, slots: int) -> Batch:
    """Pad a batch to a height and a width, with zeros to the right and below, and to a number of slots."""
    below, right = height - batch.images.shape[2], width - batch.images.shape[3]
    more = slots - batch.slots.filled.shape[1]
    boxes, labels, filled, masks = batch.slots
    padded = Slots(
        F.pad(boxes, (0, 0, 0, more)),
        F.pad(labels, (0, more)),
        F.pad(filled, (0, more)),
        None if masks is None else F.pad(masks, (0, right, 0, below, 0, more)),
    )
    return Batch(F.pad(batch.images, (0, right, 0, below)), batch.sizes, padded)
