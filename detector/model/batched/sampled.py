"""The regions of a training batch that a head learns from, and the loss of their masks."""

from __future__ import annotations

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor
from torchvision.ops import roi_align

from detector.model.batched.matching import Matched, Sample, repeated
from detector.model.batched.slots import Slots
from nars import parallel

__all__ = ["Regions", "mask_loss", "share_of"]


class Regions(NamedTuple):
    """R regions of a batch for one head, those that were drawn again and again until all places are full."""

    images: Tensor
    """Numbers [R] of the images."""
    boxes: Tensor
    """Boxes [R, 4]."""
    labels: Tensor
    """Classes [R] of the objects; 0 for background."""
    owners: Tensor
    """Slots [R] of the objects that they overlap most."""
    own: Tensor
    """Boxes [R, 4] of these objects."""
    counted: Tensor
    """Whether a region is in the losses, bool [R]; repeats are not."""
    all_boxes: Tensor
    """The boxes [N, S, 4] of every image that they are chosen from."""
    places: Tensor
    """Their flat numbers [R] among `all_boxes`."""

    @classmethod
    def drawn(cls, slots: Slots, boxes: Tensor, matched: Matched, drawn: Sample) -> Regions:
        """Return the regions that were drawn of `boxes` [N, A, 4], which are `matched` to the objects."""
        places, counted = repeated(drawn.drawn)
        images = places // drawn.regions.shape[1]
        index = drawn.regions.flatten()[places]
        owners = matched.owners[images, index]
        labels = torch.where(matched.objects[images, index], slots.labels[images, owners], 0)
        own = slots.boxes[images, owners]
        all_boxes = boxes.gather(1, drawn.regions[..., None].expand(-1, -1, 4))
        return cls(images, boxes[images, index], labels, owners, own, counted, all_boxes, places)


def share_of(counted: Tensor) -> Tensor:
    """Return how many regions count, at least one; of several processes, the mean of their numbers."""
    if parallel.world_size() == 1:
        return counted.sum().clamp(min=1)
    return parallel.mean(counted.sum()).clamp(min=1 / parallel.world_size())


def mask_loss(logits: Tensor, regions: Regions, masks: Tensor) -> Tensor:
    """Return the binary cross-entropy of the true classes' masks in `logits` [R, K, M, M].

    `masks` [N, G, H, W] are those of the objects. Each pixel of a target is either inside or
    outside, as in detectron2.
    """
    side = logits.shape[-1]
    slot = regions.images * masks.shape[1] + regions.owners
    cuts = torch.cat([slot[:, None].to(regions.boxes.dtype), regions.boxes], dim=1)
    pixels = masks.flatten(0, 1)[:, None].to(cuts.dtype)
    targets = roi_align(pixels, cuts, side, 1.0, sampling_ratio=0, aligned=True)[:, 0] >= 0.5
    column = (regions.labels - 1).clamp(min=0)[:, None, None, None].expand(-1, 1, side, side)
    own = logits.gather(1, column)[:, 0]
    loss = F.binary_cross_entropy_with_logits(own, targets.to(own.dtype), reduction="none")
    counted = regions.counted
    return torch.where(counted[:, None, None], loss, 0.0).sum() / (share_of(counted) * side**2)
