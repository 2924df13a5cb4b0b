"""The other way to find a detector: search for accuracy on pictures of the objects, and cut the winner up."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torchvision.ops import box_iou

from detector.data.images import load
from detector.data.records import CocoData, ImageRecord, Subset
from detector.model.cost import count_parts
from detector.model.parts import by_stages, parts_of
from detector.model.resizing import longest
from detector.model.settings import Settings
from detector.space.candidate import DetectorCandidate
from detector.space.decoding import anchors
from detector.space.reference import BOX_SAMPLES, FINE_TUNING
from nars.errors import SpecError
from nars.spec import Candidate

__all__ = ["MOST_MACS", "cut", "write_pictures"]

MOST_MACS = 40e6
"""Limit of the search for accuracy: half of EfficientNet-Lite0 at 96 pixels, so that there is a choice."""

_SIDES, _PROPOSALS = range(320, 127, -32), 10
"""Shorter sides of images in pixels that the detector may see, the largest first, and its proposals."""

_BACKGROUND, _TRIES = "background", 20
"""Class of the places without objects, and how often one is looked for in an image."""

_LEAST = 16
"""Pixels of the shorter side of a picture at least."""


def write_pictures(data: CocoData, folder: Path) -> None:
    """Write every box, and a place without objects from every image, as pictures in folders of classes.

    The folder appears whole or not at all.
    """
    part = folder.with_name(f".{folder.name}.part")
    shutil.rmtree(part, ignore_errors=True)
    for subset in data.subsets:
        for image in subset.images:
            pixels = load(subset, image)
            boxes, labels = _boxes(data, subset, image)
            places = [(label, box) for label, box in zip(labels, boxes, strict=True)]
            empty = _place_without(boxes, pixels, image.id)
            if empty is not None:
                places.append((_BACKGROUND, empty))
            for number, (label, box) in enumerate(places):
                left, top, right, bottom = (int(value) for value in box.round())
                picture = pixels[:, top:bottom, left:right]
                if min(picture.shape[1:]) >= _LEAST:
                    file = part / subset.name / label / f"{image.id}-{number}.png"
                    file.parent.mkdir(parents=True, exist_ok=True)
                    Image.fromarray(picture.permute(1, 2, 0).numpy()).save(file)
    part.replace(folder)


def cut(found: Candidate, classes: int, most_macs: float) -> DetectorCandidate:
    """The winner as a detector that sees images as large as the limit allows.

    Raises `SpecError` if the limit allows none.
    """
    parts = by_stages(parts_of(found.architecture))
    for side in _SIDES:
        settings = Settings(
            **anchors(1, 5, 3),
            shortest=(side,),
            longest=longest(side),
            test_proposals=_PROPOSALS,
            box_samples=BOX_SAMPLES,
        )
        if count_parts(parts, settings, classes).macs <= most_macs:
            return DetectorCandidate(architecture=parts, settings=settings, recipe=FINE_TUNING)
    raise SpecError(f"no detector of {parts.name} is within {most_macs / 1e6:.0f} M MACs")


def _boxes(data: CocoData, subset: Subset, image: ImageRecord) -> tuple[Tensor, list[str]]:
    """The boxes [B, 4] of an image as left, top, right, bottom, and their classes."""
    own = [each for each in subset.by_image[image.id] if not each.crowd]
    boxes = torch.tensor([each.box for each in own]).reshape(-1, 4)
    boxes[:, 2:] += boxes[:, :2]
    return boxes.clamp(min=0), [data.classes[data.labels[each.category_id] - 1] for each in own]


def _place_without(boxes: Tensor, pixels: Tensor, seed: int) -> Tensor | None:
    """A box [4] of an image [3, H, W] that overlaps none of `boxes` [B, 4]; None if none was found."""
    rng = np.random.default_rng(seed)
    height, width = pixels.shape[1:]
    for _ in range(_TRIES):
        side = rng.uniform(0.2, 0.5) * min(height, width)
        left, top = rng.uniform(0, width - side), rng.uniform(0, height - side)
        place = torch.tensor([left, top, left + side, top + side])
        if not len(boxes) or float(box_iou(place[None], boxes).max()) == 0.0:
            return place
    return None
