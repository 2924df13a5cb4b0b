"""Every setting of a detector except its architecture, with the published values as defaults.

Source of the defaults: the D2Go configurations of FBNetV3A C4 and dsmask C4
(facebookresearch/d2go at f4ac156). The values in which the FPN configuration differs are in
``published.yaml``.
"""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal, Self

from pydantic import ConfigDict, Field, model_validator

from nars.documents import Document, Frozen
from nars.foreign.limits import (
    MOST_ANCHORS,
    MOST_BLOCKS,
    MOST_CELLS,
    MOST_COORDINATE,
    MOST_PROPOSALS,
    MOST_SETTING,
    MOST_SIDE,
)
from nars.spec import Norm

__all__ = ["Pixels", "Settings"]

Side = Annotated[int, Field(ge=1, le=MOST_SIDE)]
Cells = Annotated[int, Field(ge=1, le=MOST_CELLS)]
Count = Annotated[int, Field(ge=1, le=MOST_PROPOSALS)]
Share = Annotated[float, Field(ge=0, le=1)]
Size = Annotated[float, Field(gt=0, le=MOST_COORDINATE)]
Sizes = Annotated[tuple[Size, ...], Field(min_length=1, max_length=MOST_ANCHORS)]
Channel = Annotated[float, Field(ge=-MOST_SETTING, le=MOST_SETTING)]
PerChannel = tuple[Channel, Channel, Channel]


class Pixels(Frozen):
    """How RGB values in 0..1 become the network's input: (255 * value - mean) / std."""

    order: Literal["bgr", "rgb"] = "bgr"
    """The order of the network's input channels."""
    mean: PerChannel = (103.53, 116.28, 123.675)
    """Mean of each channel in `order`, on the scale of 0..255."""
    std: PerChannel = (1.0, 1.0, 1.0)
    """Standard deviation of each channel in `order`, on the scale of 0..255."""

    @model_validator(mode="after")
    def _rules(self) -> Self:
        if min(self.std) <= 0:
            raise ValueError(f"std must be above 0, got {self.std}")
        return self


class Settings(Document):
    """The settings of a detector.

    Raises `SpecError` for values that cannot work; `detector.build` does for those that do not
    fit the parts.
    """

    model_config = ConfigDict(use_attribute_docstrings=True)  # the command line prints them
    kind: ClassVar[str] = "detector-settings"

    pixels: Pixels = Pixels()
    shortest: Annotated[tuple[Side, ...], Field(min_length=1, max_length=MOST_SIDE)] = (224,)
    """Pixels of the shorter side after resizing. If there are several, training draws one per
    image, and evaluation uses the largest."""
    longest: Side = 320
    """Most pixels of the longer side, even if the shorter then falls below `shortest`."""
    resize_in_training: bool = True
    """Off if a loader has resized the images already."""

    norm: Norm = "naive_sync_bn"
    """Normalization layers."""
    freeze: Annotated[int, Field(ge=0, le=MOST_BLOCKS)] = 0
    """How many stages of the trunk, from the first, keep their weights and norm statistics."""

    anchor_sizes: Annotated[tuple[Sizes, ...], Field(min_length=1, max_length=MOST_ANCHORS)] = (
        (32, 64, 96, 128, 160),
    )
    """Square roots of anchor areas in pixels of the resized image, for each map."""
    anchor_ratios: Sizes = (0.5, 1.0, 2.0)
    """Height over width of the anchors of each size."""

    rpn_background_iou: Share = 0.3
    """Anchors with a best IoU below this are background; up to `rpn_object_iou` they are ignored."""
    rpn_object_iou: Share = 0.7
    """Anchors with a best IoU of at least this are objects."""
    rpn_samples: Count = 256
    """Anchors per image in the RPN's loss."""
    rpn_positives: Share = 0.5
    """Largest share of objects among the sampled anchors."""
    rpn_nms: Share = 0.7
    """IoU above which non-maximum suppression drops the weaker of two proposals."""
    train_candidates: Count = 2000
    """Anchors per map, by objectness, that reach non-maximum suppression in training."""
    train_proposals: Count = 2000
    """Proposals per image after suppression in training."""
    test_candidates: Count = 1000
    """Anchors per map, by objectness, that reach non-maximum suppression in evaluation."""
    test_proposals: Count = 30
    """Proposals per image after suppression in evaluation."""

    pooler_resolution: Cells = 6
    """Side of the regions that the box head takes, in cells."""
    box_background_iou: Share = 0.5
    """Proposals with a best IoU below this are background; up to `box_object_iou` they are ignored."""
    box_object_iou: Share = 0.5
    """Proposals with a best IoU of at least this are objects."""
    box_samples: Count = 512
    """Proposals per image in the box head's loss."""
    box_positives: Share = 0.25
    """Largest share of objects among the sampled proposals."""
    smooth_l1: Annotated[float, Field(ge=0, le=MOST_SETTING)] = 0.0
    """Deviation at which the loss of box deltas turns from quadratic to linear; 0 is L1."""

    score_threshold: Share = 0.05
    """Detections must have a higher score than this."""
    box_nms: Share = 0.5
    """IoU above which non-maximum suppression drops the weaker of two detections of a class."""
    detections: Count = 100
    """Most detections per image."""

    mask: bool = False
    """Whether the detector segments, too: FBNetV3IS instead of FBNetV3OD."""
    mask_pooler_resolution: Cells = 14
    """Side of the regions that the mask head takes, in cells."""

    @model_validator(mode="after")
    def _rules(self) -> Self:
        for head in ("rpn", "box"):
            lower, upper = getattr(self, f"{head}_background_iou"), getattr(self, f"{head}_object_iou")
            if lower > upper:
                rule = f"{head}_background_iou must not be above {head}_object_iou"
                raise ValueError(f"{rule}, got {lower} and {upper}")
        if len({len(sizes) for sizes in self.anchor_sizes}) > 1:
            counts = [len(sizes) for sizes in self.anchor_sizes]
            raise ValueError(
                f"anchor_sizes must be as many for every map, which share one head, got {counts}"
            )
        if self.anchors_per_cell > MOST_ANCHORS:
            raise ValueError(f"there are {self.anchors_per_cell} anchors at a cell, more than {MOST_ANCHORS}")
        if max(self.shortest) > self.longest:
            raise ValueError(
                f"shortest must not be above longest, got {max(self.shortest)} and {self.longest}"
            )
        return self

    @property
    def anchors_per_cell(self) -> int:
        """Anchors at each cell of a map; the number is the same on every map."""
        return len(self.anchor_sizes[0]) * len(self.anchor_ratios)
