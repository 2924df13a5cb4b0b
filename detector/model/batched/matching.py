"""Decides for whole batches which regions are objects, which are background, and which are drawn."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from detector.model.batched.boxes import overlaps
from detector.model.batched.slots import Slots
from nars import parallel

__all__ = ["Matched", "Sample", "match", "repeated", "sample"]

_EXCLUDED = 2.0
"""Priority of a region that must not be drawn; those of the others are below 1."""


class Matched(NamedTuple):
    """The object that each of A regions of N images stands for."""

    owners: Tensor
    """The slot [N, A] of the object that a region overlaps most."""
    objects: Tensor
    """Whether it overlaps that object enough, bool [N, A]."""
    background: Tensor
    """Whether it overlaps none enough to be ignored, bool [N, A]."""


class Sample(NamedTuple):
    """Regions drawn for a loss: S of every image, objects before background."""

    regions: Tensor
    """The regions [N, S]; those that are not `drawn` are arbitrary."""
    drawn: Tensor
    """Whether there was a region to be drawn, bool [N, S]."""


def match(
    slots: Slots, regions: Tensor, object_iou: float, background_iou: float, keep_best: bool = False
) -> Matched:
    """Match regions [N, A, 4], or [A, 4] if they are the same for all images, to the objects in `slots`.

    With `keep_best`, the regions that overlap an object most are objects, too, however little that is
    (Faster R-CNN, NeurIPS 2015, section 3.1.2). The results are those of torchvision's `Matcher`.
    """
    shared = overlaps(slots.boxes, regions)  # [N, G, A]
    shared = torch.where(slots.filled[:, :, None], shared, -1.0)
    best, owners = shared.max(dim=1)
    objects, background = best >= object_iou, best < background_iou
    if keep_best:
        most = shared.amax(dim=2, keepdim=True)
        best_of_any = ((shared == most) & slots.filled[:, :, None]).any(dim=1)
        objects, background = objects | best_of_any, background & ~best_of_any
    return Matched(owners, objects, background)


def sample(objects: Tensor, background: Tensor, samples: int, share: float) -> Sample:
    """Draw at most `samples` regions per image, at most a `share` of them objects, each equally likely.

    `objects` and `background` [N, A] are which regions may be drawn as either. Background fills what
    objects leave. As of torchvision's sampler, but without reading back how many there are.
    """
    most, samples = (min(count, objects.shape[1]) for count in (int(samples * share), samples))
    rows, columns = objects.shape
    order = parallel.drawn(rows, columns, objects.device)  # distinct but for 1 pair in 16 million
    first = torch.where(objects, order, _EXCLUDED).topk(most, dim=1, largest=False).indices
    chosen = torch.zeros_like(objects).scatter_(1, first, value=True) & objects
    priority = torch.where(chosen, order - 1, torch.where(background, order, _EXCLUDED))
    values, regions = priority.topk(samples, dim=1, largest=False)
    return Sample(regions, values < 1)


def repeated(wanted: Tensor) -> tuple[Tensor, Tensor]:
    """Fill a fixed number of places with the `wanted` [N, S] regions, again and again.

    Returns the flat index [N * S] into them, and bool [N * S], whether a place holds a region for the first
    time. The repeats keep the statistics of norms those of the regions that were drawn. If none
    are wanted, the places hold unwanted ones, none of them for the first time.
    """
    flat = wanted.flatten()
    order = (~flat).to(torch.uint8).sort(stable=True).indices
    places = torch.arange(len(flat), device=flat.device)
    count = flat.sum()
    return order[places % count.clamp(min=1)], places < count
