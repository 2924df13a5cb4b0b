"""The form of a detector's targets and detections, and checks of what it is given."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor

from nars.errors import DataError

__all__ = ["Detections", "Target", "check_images", "check_targets"]

Target = dict[str, Tensor]
"""The objects in a training image: ``boxes``, ``labels`` and, for a detector with masks, ``masks``."""

Detections = dict[str, Tensor]
"""The objects found in an image: ``boxes``, ``labels``, ``scores`` and, if it segments, ``masks``."""


def check_images(images: Sequence[Tensor]) -> None:
    """Raise `DataError` unless all are RGB float images [3, H, W], and there is at least one."""
    if not images:
        raise DataError("a detector needs at least one image")
    for index, image in enumerate(images):
        if image.dim() != 3 or image.shape[0] != 3 or not image.is_floating_point() or not image.numel():
            given = f"{image.dtype} {list(image.shape)}"
            raise DataError(f"image {index} of the batch must be RGB float [3, H, W], got {given}")


def check_targets(
    images: Sequence[Tensor], targets: Sequence[Target] | None, num_classes: int, masks: bool
) -> None:
    """Raise `DataError` unless every image has a target that fits the detector."""
    if targets is None or len(targets) != len(images):
        given = "none" if targets is None else len(targets)
        raise DataError(f"training needs a target for each of the {len(images)} images, got {given}")
    for index, target in enumerate(targets):
        problem = _problem(target, num_classes, masks)
        if problem is not None:
            raise DataError(f"target {index} of the batch: {problem}")


def _problem(target: Target, num_classes: int, masks: bool) -> str | None:
    """Say what makes a target unfit for training; None if nothing does."""
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
