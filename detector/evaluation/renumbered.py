"""Matches a detector's classes with those of other data by their names."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NoReturn

import torch
from torch import Tensor, nn

from detector.data.records import CocoData
from detector.model.targets import Detections
from nars.errors import WeightsError
from nars.foreign.parts import counted

__all__ = ["Renumbered", "matched"]


class Renumbered(nn.Module):
    """A detector whose labels are those of other data; detections of further classes are left out."""

    def __init__(self, model: nn.Module, labels: Sequence[int]) -> None:
        """Label k of the `model` becomes ``labels[k - 1]``, or is left out if that is 0."""
        super().__init__()
        self.model = model
        self.settings = model.settings
        self._labels = torch.tensor([0, *labels])

    def forward(self, images: list[Tensor]) -> list[Detections]:
        return [self._renumbered(detections) for detections in self.model(images)]

    def _renumbered(self, detections: Detections) -> Detections:
        labels = self._labels.to(detections["labels"].device)[detections["labels"]]
        kept = labels > 0
        return {name: (labels if name == "labels" else values)[kept] for name, values in detections.items()}


def matched(model: nn.Module, classes: Sequence[str], data: CocoData, source: str) -> nn.Module:
    """The detector with the labels of `data`, whose classes it knows by their names.

    Raises `WeightsError` for a class that it does not know, and for two classes of one name.
    """
    names = data.classes
    if tuple(classes) == names:
        return model
    if len(set(classes)) < len(classes) or len(set(names)) < len(names) or not set(names) <= set(classes):
        _refuse(classes, data, source)
    return Renumbered(model, [names.index(name) + 1 if name in names else 0 for name in classes])


def _refuse(classes: Sequence[str], data: CocoData, source: str) -> NoReturn:
    counts = f"{counted(len(classes), 'class')} ({_few(classes)})"
    theirs = f"{len(data.classes)} ({_few(data.classes)})"
    raise WeightsError(f"{source} finds {counts}, the data has {theirs}")


def _few(names: Sequence[str]) -> str:
    return ", ".join(names[:5]) + (", ..." if len(names) > 5 else "")
