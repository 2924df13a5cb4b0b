"""The whole detector: FBNetV3OD, or FBNetV3IS if it has a mask head."""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

import torch.nn.functional as F
from torch import Tensor
from torchvision.models.detection.generalized_rcnn import GeneralizedRCNN

from detector.model.backbone import Backbone
from detector.model.batched.slots import Batch, slots_of
from detector.model.parts import Parts
from detector.model.roi_heads.region_heads import RegionHeads
from detector.model.rpn import ProposalNetwork
from detector.model.settings import Settings
from detector.model.targets import Detections, Target, check_images, check_targets
from detector.model.transform import Transform
from nars.errors import NonFiniteLossError, SpecError, UsageError
from nars.foreign.limits import MOST_CLASSES, MOST_PARAMETERS

__all__ = ["Detector"]


class Detector(GeneralizedRCNN):  # type: ignore[misc]  # torchvision has no types
    """A two-stage detector that takes a list of RGB float images [3, H, W] in 0..1 of any size.

    In training it also takes a target per image, with ``boxes`` [N, 4] (left, top, right, bottom
    in pixels), ``labels`` [N] of 1..K and, if it segments, ``masks`` [N, H, W]; N may be 0. It
    then returns a dictionary of losses.

    In evaluation it returns the detections of each image by falling score: ``boxes`` [D, 4],
    ``labels`` [D], ``scores`` [D] and, if it segments, ``masks`` bool [D, 1, H, W].

    Raises `DataError` for images or targets of another form, and `NonFiniteLossError` if
    training has diverged.
    """

    def __init__(self, parts: Parts, num_classes: int, settings: Settings) -> None:
        if num_classes < 1:
            raise UsageError(f"a detector needs 1 class or more, got {num_classes}")
        _check_sizes(parts, num_classes, settings)
        backbone = Backbone(parts, settings.norm, settings.freeze)
        _check_levels(backbone, settings)
        # The published pyramid needs maps that double exactly; C4 takes images of any size.
        divisor = 1 if parts.fpn is None else backbone.strides[-2]
        super().__init__(
            backbone,
            ProposalNetwork(parts, backbone, settings),
            RegionHeads(parts, backbone, num_classes, settings),
            Transform(settings, backbone.trunk.smallest_side, divisor),
        )
        self.parts = parts
        self.num_classes = num_classes
        self.settings = settings

    def forward(
        self, images: Sequence[Tensor] | Batch, targets: Sequence[Target] | None = None
    ) -> dict[str, Tensor] | list[Detections]:
        if isinstance(images, Batch):
            return self.losses(images)
        check_images(images)
        if not self.training:
            return cast("list[Detections]", super().forward(list(images), None))
        check_targets(images, targets, self.num_classes, self.settings.mask)
        assert targets is not None
        losses = self.losses(self.batch(images, targets))
        self.check_finite()
        return losses

    def batch(
        self, images: Sequence[Tensor], targets: Sequence[Target], slots: int = 0, step: int = 1
    ) -> Batch:
        """Return images and targets as the network takes them for training.

        There are at least so many `slots`, and sides are multiples of `step`.
        """
        padded, moved = self.transform(list(images), list(targets))
        sizes = targets[0]["boxes"].new_tensor(padded.image_sizes)
        height, width = padded.tensors.shape[-2:]
        pixels = F.pad(padded.tensors, (0, -width % step, 0, -height % step))
        shape = (pixels.shape[-2], pixels.shape[-1])
        return Batch(pixels, sizes, slots_of(moved, shape, self.settings.mask, slots))

    def losses(self, batch: Batch) -> dict[str, Tensor]:
        """Return the losses of a training batch, by tensor operations that read nothing back."""
        features = self.backbone(batch.images)
        proposals, valid, losses = self.rpn.losses(features, batch.sizes, batch.slots)
        of_boxes: dict[str, Tensor] = self.roi_heads.losses(features, proposals, valid, batch.slots)
        return of_boxes | cast("dict[str, Tensor]", losses)

    def check_finite(self) -> None:
        """Raise `NonFiniteLossError` if proposals of an image of the last batch are not finite."""
        finite = self.rpn.finite.tolist()
        if not all(finite):
            rule = "training has diverged; a lower learning rate or clipped gradients help"
            raise NonFiniteLossError(
                f"proposals of image {finite.index(False)} of the batch are not finite: {rule}"
            )

    @property
    def counts(self) -> dict[str, Tensor]:
        """Objects and background regions per image that both heads sampled in the last training step.

        If there are no objects for many steps, the AP stays at 0.
        """
        counts: dict[str, Tensor] = self.rpn.counts | self.roi_heads.counts
        return counts


def _check_sizes(parts: Parts, num_classes: int, settings: Settings) -> None:
    """Raise `SpecError` for a detector that is larger than any, before it takes memory."""
    outputs = num_classes * parts.box[-1].channels * 5  # a score and four deltas of each class
    if num_classes > MOST_CLASSES or outputs > MOST_PARAMETERS:
        raise SpecError(f"{num_classes} classes are more than a detector is built for")
    try:
        parts.check_sizes(settings.longest, max(settings.pooler_resolution, settings.mask_pooler_resolution))
    except ValueError as error:
        raise SpecError(f"detector {parts.name}: {error}") from None


def _check_levels(backbone: Backbone, settings: Settings) -> None:
    maps, sizes = len(backbone.names), len(settings.anchor_sizes)
    if maps != sizes:
        names = ", ".join(backbone.names)
        raise SpecError(f"anchor_sizes needs one list for each of {names}, so {maps}, got {sizes}")
