"""Every setting of a detector beside its architecture, with the published values as defaults.

Source of the defaults: the D2Go configurations of FBNetV3A C4 and dsmask C4
(facebookresearch/d2go at f4ac156). What the FPN configuration has otherwise stands in
``published.yaml``.
"""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal, Self

from pydantic import ConfigDict, Field, model_validator

from nars.spec import Document, Frozen, Norm

__all__ = ["Pixels", "Settings"]

Positive = Annotated[int, Field(ge=1)]
Share = Annotated[float, Field(ge=0, le=1)]
Size = Annotated[float, Field(gt=0)]
Sizes = Annotated[tuple[Size, ...], Field(min_length=1)]
Three = tuple[float, float, float]


class Pixels(Frozen):
    """How RGB values in 0..1 become what the network sees: (255 * value - mean) / std."""

    order: Literal["bgr", "rgb"] = "bgr"
    """Of the channels that the network sees."""
    mean: Three = (103.53, 116.28, 123.675)
    """In `order`, on the scale of 0..255; so is `std`."""
    std: Three = (1.0, 1.0, 1.0)

    @model_validator(mode="after")
    def _rules(self) -> Self:
        if min(self.std) <= 0:
            raise ValueError(f"std must be above 0, got {self.std}")
        return self


class Settings(Document):
    """Raises `SpecError` for values that can't work; `detector.build` for those that don't fit its parts."""

    model_config = ConfigDict(use_attribute_docstrings=True)  # the command line prints them
    kind: ClassVar[str] = "detector-settings"

    pixels: Pixels = Pixels()
    shortest: Annotated[tuple[Positive, ...], Field(min_length=1)] = (224,)
    """Pixels that the shorter side is resized to. In training one of several is drawn per image;
    otherwise the largest counts."""
    longest: Positive = 320
    """Pixels that the longer side may have; it wins over `shortest`."""
    resize_in_training: bool = True
    """Off where a loader has resized the images already."""

    norm: Norm = "naive_sync_bn"
    freeze: Annotated[int, Field(ge=0)] = 0
    """The first so many stages of the trunk keep their weights and norm statistics."""

    anchor_sizes: Annotated[tuple[Sizes, ...], Field(min_length=1)] = ((32, 64, 96, 128, 160),)
    """Square roots of areas in pixels of the resized image, for each map."""
    anchor_ratios: Annotated[tuple[Size, ...], Field(min_length=1)] = (0.5, 1.0, 2.0)
    """Heights over widths."""

    rpn_background_iou: Share = 0.3
    """Anchors whose best overlap is below are background; those up to `rpn_object_iou` are ignored."""
    rpn_object_iou: Share = 0.7
    rpn_samples: Positive = 256
    """Anchors per image in the loss."""
    rpn_positives: Share = 0.5
    """Largest share of objects among them."""
    rpn_nms: Share = 0.7
    train_candidates: Positive = 2000
    """Anchors per map with the highest objectness that reach non-maximum suppression."""
    train_proposals: Positive = 2000
    """Proposals per image after it."""
    test_candidates: Positive = 1000
    test_proposals: Positive = 30

    pooler_resolution: Positive = 6
    """Side of what RoIAlign hands to the box head."""
    box_background_iou: Share = 0.5
    """As in the RPN, for proposals."""
    box_object_iou: Share = 0.5
    box_samples: Positive = 512
    """Proposals per image in the loss."""
    box_positives: Share = 0.25
    smooth_l1: Annotated[float, Field(ge=0)] = 0.0
    """Where the loss of box deltas turns from quadratic to linear; 0 is L1."""

    score_threshold: Share = 0.05
    box_nms: Share = 0.5
    detections: Positive = 100
    """Per image, at most."""

    mask: bool = False
    """Whether the detector segments, too: FBNetV3IS instead of FBNetV3OD."""
    mask_pooler_resolution: Positive = 14

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
        if max(self.shortest) > self.longest:
            raise ValueError(
                f"shortest must not be above longest, got {max(self.shortest)} and {self.longest}"
            )
        return self

    @property
    def anchors_per_cell(self) -> int:
        """Anchors at each place of a map; the same number on every map."""
        return len(self.anchor_sizes[0]) * len(self.anchor_ratios)
