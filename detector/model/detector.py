"""The detector: FBNetV3OD, and with a mask head FBNetV3IS."""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

from torch import Tensor
from torchvision.models.detection.generalized_rcnn import GeneralizedRCNN

from detector.model.backbone import Backbone
from detector.model.parts import Parts
from detector.model.roi_heads import RegionHeads
from detector.model.rpn import ProposalNetwork
from detector.model.settings import Settings
from detector.model.transform import Transform
from nars.errors import DataError, SpecError, UsageError

__all__ = ["Detector"]

Target = dict[str, Tensor]


class Detector(GeneralizedRCNN):  # type: ignore[misc]  # torchvision has no types
    """Takes a list of RGB float images [3, H, W] in 0..1, each of any size.

    In training also a list of targets: ``boxes`` [N, 4] in pixels, ``labels`` [N] of 1..K, and
    ``masks`` [N, H, W] where it segments; N may be 0. It returns a dictionary of losses.
    Otherwise it returns for each image ``boxes`` [D, 4], ``labels`` [D], ``scores`` [D] by falling
    score, and where it segments ``masks`` bool [D, 1, H, W].

    Raises `DataError` for images or targets of another form, and `NonFiniteLossError` where
    training has diverged.
    """

    def __init__(self, parts: Parts, num_classes: int, settings: Settings) -> None:
        if num_classes < 1:
            raise UsageError(f"a detector needs 1 class or more, got {num_classes}")
        backbone = Backbone(parts, settings.norm, settings.freeze)
        _check_levels(backbone, settings)
        # the published pyramid needs maps that double exactly; C4 takes images as they are
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
        self, images: Sequence[Tensor], targets: Sequence[Target] | None = None
    ) -> dict[str, Tensor] | list[Target]:
        _check_images(images)
        if self.training:
            _check_targets(images, targets, self.num_classes, self.settings.mask)
        output = super().forward(list(images), None if targets is None else list(targets))
        return cast("dict[str, Tensor] | list[Target]", output)

    @property
    def counts(self) -> dict[str, Tensor]:
        """Sampled objects and background per image in the last training step, of both heads.

        No objects at all for many steps is why an AP stays at 0.
        """
        counts: dict[str, Tensor] = self.rpn.counts | self.roi_heads.counts
        return counts


def _check_levels(backbone: Backbone, settings: Settings) -> None:
    maps, sizes = len(backbone.names), len(settings.anchor_sizes)
    if maps != sizes:
        names = ", ".join(backbone.names)
        raise SpecError(f"anchor_sizes needs one list for each of {names}, so {maps}, got {sizes}")


def _check_images(images: Sequence[Tensor]) -> None:
    if not images:
        raise DataError("a detector needs at least one image")
    for index, image in enumerate(images):
        if image.dim() != 3 or image.shape[0] != 3 or not image.is_floating_point() or not image.numel():
            found = f"{image.dtype} {list(image.shape)}"
            raise DataError(f"image {index} of the batch must be RGB float [3, H, W], got {found}")


def _check_targets(
    images: Sequence[Tensor], targets: Sequence[Target] | None, num_classes: int, masks: bool
) -> None:
    if targets is None or len(targets) != len(images):
        found = "none" if targets is None else len(targets)
        raise DataError(f"training needs a target for each of the {len(images)} images, got {found}")
    for index, target in enumerate(targets):
        problem = _problem(target, num_classes, masks)
        if problem is not None:
            raise DataError(f"target {index} of the batch: {problem}")


def _problem(target: Target, num_classes: int, masks: bool) -> str | None:
    """What makes a target unfit for training."""
    needed = ("boxes", "labels", "masks") if masks else ("boxes", "labels")
    missing = [name for name in needed if name not in target]
    if missing:
        return f"has no {missing[0]}"
    boxes, labels = target["boxes"], target["labels"]
    if boxes.dim() != 2 or boxes.shape[1] != 4 or not boxes.is_floating_point():
        return f"boxes must be float [N, 4], got {boxes.dtype} {list(boxes.shape)}"
    if labels.shape != boxes.shape[:1] or labels.is_floating_point():
        return f"labels must be whole numbers [{len(boxes)}], got {labels.dtype} {list(labels.shape)}"
    if masks and len(target["masks"]) != len(boxes):
        return f"masks must be as many as boxes, got {len(target['masks'])} and {len(boxes)}"
    if not len(boxes):
        return None
    if not (boxes[:, 2:] > boxes[:, :2]).all():
        flat = boxes[~(boxes[:, 2:] > boxes[:, :2]).all(1)][0].tolist()
        return f"boxes must have a width and a height, got {flat}"
    if labels.min() < 1 or labels.max() > num_classes:
        return f"labels must be 1..{num_classes}, got {int(labels.min())}..{int(labels.max())}"
    return None
