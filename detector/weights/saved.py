"""Files of trained detectors, with all that is needed to use them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Self

from torch import Tensor

from detector.model.detector import Detector
from detector.model.parts import Parts
from detector.model.settings import Settings
from nars.errors import UsageError
from nars.foreign.parts import counted
from nars.networks.weights import load_into, measured
from nars.tensors import FileFormat, damage_named, read_tensors

__all__ = ["DETECTOR", "SavedDetector", "load_detector", "save_detector"]

DETECTOR = FileFormat(
    "nars.detector",
    schema=1,
    title="a nars detector",
    documents=("settings",),
    values=("parts", "classes", "metrics"),
    notes=("data",),
)
"""The format of these files."""


@dataclass(frozen=True, eq=False)
class SavedDetector:
    """The content of a file of a detector."""

    parts: Parts
    settings: Settings
    classes: tuple[str, ...]
    """The name of label k is at k - 1."""
    metrics: Mapping[str, float]
    state: Mapping[str, Tensor]
    """The detector's state, on the CPU."""
    source: str
    """The file, for messages."""
    data: str | None = None
    """The data that it was trained on, as they were named; None in files that do not say."""

    @classmethod
    def of(cls, content: Any, source: str) -> Self:
        """Validate what `nars.tensors.read_tensors` returned. Raises `WeightsError`."""
        fields = DETECTOR.parse(content, source)
        with damage_named(source):
            return cls(
                parts=Parts.of(fields["parts"]),
                settings=Settings.from_yaml(fields["settings"], source),
                classes=tuple(map(str, fields["classes"])),
                metrics=measured(fields["metrics"]),
                state=fields["state"],
                source=source,
                data=None if fields["data"] is None else str(fields["data"]),
            )

    def with_threshold(self, score: float) -> Self:
        """The same detector, whose detections have a higher score than this."""
        return replace(self, settings=self.settings.replace(score_threshold=score))

    def detector(self) -> Detector:
        """The detector with these weights, in evaluation mode. Raises `WeightsError`."""
        model = Detector(self.parts, len(self.classes), self.settings)
        load_into(model, self.state, self.source)
        model.eval()
        return model


def save_detector(
    path: str | Path,
    model: Detector,
    classes: Sequence[str],
    metrics: Mapping[str, float] | None = None,
    data: str | None = None,
) -> None:
    """Write `model` and its classes, as ``.safetensors`` if `path` ends so, else with `torch.save`.

    `data` names what it was trained on, for commands that are not told.
    The file is written whole or not at all. Raises `RunError`, and `UsageError` for another number
    of class names than the model has classes.
    """
    if len(classes) != model.num_classes:
        raise UsageError(
            f"{counted(len(classes), 'class name')} for a detector of {counted(model.num_classes, 'class')}"
        )
    fields = {
        "parts": model.parts.model_dump(mode="json", exclude_defaults=True),
        "settings": model.settings.to_yaml(),
        "classes": list(classes),
        "data": data,
        "metrics": dict(metrics or {}),
    }
    DETECTOR.write(path, fields, model.state_dict())


def load_detector(path: str | Path) -> SavedDetector:
    """Read what `save_detector` wrote. Raises `WeightsError`; code in a file is refused, not run."""
    return SavedDetector.of(read_tensors(path), str(path))
