"""How much each channel of a trained detector matters, measured on some training images.

The losses of a training step and what passes through the blocks of trunk and heads judge channels as
`nars.parents.judging` does for classifiers; in the heads, regions take the place of images.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import torch
from torch import nn

from detector.data.records import CocoData
from detector.model.detector import Detector
from detector.model.parts import Parts
from detector.training.start.sampled import sampled
from detector.weights.parents import DetectorParent, sites_of
from nars.parents.judging import Observer, Passed, importance

__all__ = ["judged"]

_IMAGES, _AT_ONCE = 64, 4
"""Training images that channels are judged on, and how many at a time."""


def judged(parent: DetectorParent, parts: Parts, data: CocoData, device: torch.device) -> DetectorParent:
    """The parent with the importance of its channels for `data`, if a detector has to choose among them.

    `parts` are those of the detector. A parent that is not a detector for the classes of `data` has no losses
    to judge by, and is returned as it is.
    """
    blocks = sites_of(parent.parts)
    if parent.importance or parent.settings is None or parent.classes != data.classes:
        return parent
    if [(site.name, site.row) for site in sites_of(parts)] == [(site.name, site.row) for site in blocks]:
        return parent
    passed = _passed(parent, data, device)
    return replace(parent, importance=importance(blocks, parent.state, parent.parts.norm_eps, passed))


def _passed(parent: DetectorParent, data: CocoData, device: torch.device) -> Iterator[Passed]:
    """Pass training images through the parent, with norms and sizes of images as in evaluation."""
    assert parent.settings is not None
    settings = parent.settings.replace(mask=False, freeze=0, resize_in_training=False)
    model = Detector(parent.parts, len(parent.classes), settings)
    model.load_state_dict({name: parent.state[name] for name in model.state_dict()})
    model.to(device).train()
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d | nn.SyncBatchNorm):
            module.eval()
    own = {name for name, _ in model.named_modules()}
    observer = Observer(model, [site for site in sites_of(parent.parts) if site.name in own])
    for batch in sampled(model, data, _IMAGES, _AT_ONCE):
        yield observer.passed(torch.stack(list(model.losses(batch).values())).sum())
