"""The classes of ImageNet, in the order of every published classifier."""

from __future__ import annotations

__all__ = ["imagenet_classes"]


def imagenet_classes() -> tuple[str, ...]:
    """The names of the 1000 classes; a few names occur twice."""
    from torchvision.models import MobileNet_V2_Weights  # all its weights list them

    return tuple(MobileNet_V2_Weights.DEFAULT.meta["categories"])
