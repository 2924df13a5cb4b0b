"""Files of trained detectors, with all that is needed to use them."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from detector.model.detector import Detector
from detector.model.parts import Parts
from detector.model.settings import Settings
from detector.weights.checkpoints import read_pickle
from nars.errors import SpecError, UsageError, WeightsError
from nars.files import write_whole
from nars.networks.weights import load_into

__all__ = ["SavedDetector", "load_detector", "save_detector"]

_FORMAT, _SCHEMA = "nars.detector", 1


@dataclass(frozen=True, eq=False)
class SavedDetector:
    """The content of a file of a detector."""

    parts: Parts
    settings: Settings
    classes: tuple[str, ...]
    """The name of label k is at k - 1."""
    metrics: Mapping[str, float]
    state: Mapping[str, Tensor]
    """On the CPU."""
    source: str

    def detector(self) -> Detector:
        """The detector with these weights, in evaluation mode. Raises `WeightsError`."""
        model = Detector(self.parts, len(self.classes), self.settings)
        load_into(model, self.state, self.source)
        model.eval()
        return model


def save_detector(
    path: str | Path, model: Detector, classes: Sequence[str], metrics: Mapping[str, float] | None = None
) -> None:
    """Write `model` and the names of its classes, whole or not at all. Raises `RunError`."""
    if len(classes) != model.num_classes:
        raise UsageError(f"{len(classes)} class names for a detector of {model.num_classes} classes")
    content = {
        "format": _FORMAT,
        "schema": _SCHEMA,
        "parts": model.parts.model_dump(mode="json", exclude_defaults=True),
        "settings": model.settings.to_yaml(),
        "classes": list(classes),
        "metrics": dict(metrics or {}),
        "state": {name: tensor.detach().cpu() for name, tensor in model.state_dict().items()},
    }
    buffer = io.BytesIO()
    torch.save(content, buffer)
    write_whole(path, buffer.getvalue())


def load_detector(path: str | Path) -> SavedDetector:
    """Read what `save_detector` wrote. Raises `WeightsError`; a file with code in it is refused unrun."""
    content = read_pickle(Path(path))
    if not isinstance(content, dict) or content.get("format") != _FORMAT:
        raise WeightsError(f"{path}: not a file of a nars detector")
    if content.get("schema") != _SCHEMA:
        raise WeightsError(f"{path}: schema is {content.get('schema')!r}, this version reads {_SCHEMA}")
    try:
        if not all(isinstance(tensor, Tensor) for tensor in content["state"].values()):
            raise WeightsError(f"{path}: its state is not made of tensors")
        return SavedDetector(
            parts=Parts.of(content["parts"]),
            settings=Settings.from_yaml(content["settings"], str(path)),
            classes=tuple(map(str, content["classes"])),
            metrics=dict(content["metrics"]),
            state=content["state"],
            source=str(path),
        )
    except (KeyError, TypeError, ValueError, AttributeError, SpecError) as error:
        raise WeightsError(f"{path}: damaged: {error}") from None
