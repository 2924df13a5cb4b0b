"""Loads the tensors of a checkpoint into a network by structure, and reports what went where.

Layers are matched by section, order and shape; their names don't matter. The network has the
published layout (background class last, all ratios of an anchor size together), so published
tensors are loaded unchanged.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

from detector.model.detector import Detector
from detector.weights.checkpoints import Checkpoint, Layer, sections_of
from nars.errors import WeightsError

__all__ = ["LoadingReport", "load_checkpoint"]

_PREDICTORS = {"RPN predictor", "box predictor", "mask predictor", "predictor"}
"""Sections whose size depends on the number of classes or anchors."""


@dataclass
class LoadingReport:
    """The parts of a checkpoint that were loaded, those that were not, and why."""

    source: str
    loaded: dict[str, int] = field(default_factory=dict)
    """How many tensors were loaded, by section of the network."""
    fresh: dict[str, str] = field(default_factory=dict)
    """Sections of the network that keep their fresh weights, and why."""
    unused: dict[str, str] = field(default_factory=dict)
    """Sections of the file that were not used, and why."""
    notes: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        lines = [f"weights of {self.source}:"]
        lines += [f"  loaded: {name} ({count} tensors)" for name, count in self.loaded.items()]
        lines += [f"  fresh: {name}: {why}" for name, why in self.fresh.items()]
        lines += [f"  unused: {name}: {why}" for name, why in self.unused.items()]
        return "\n".join(lines + [f"  note: {note}" for note in self.notes])


def load_checkpoint(model: nn.Module, checkpoint: Checkpoint) -> LoadingReport:
    """Load what fits `model`, a `Detector` or a classifier of `nars.build`, in place.

    With another number of classes or anchors the predictors keep fresh weights, and so does a head
    of another shape. Raises `WeightsError`, with the first layer that differs, if the trunk doesn't
    fit.
    """
    _, wanted = sections_of(model.state_dict(), type(model).__name__)
    given = dict(checkpoint.sections)
    report = LoadingReport(_title(checkpoint))
    if "stages" in given and "stages" not in wanted:
        given = _as_detector(given, wanted)
    values: dict[str, Tensor] = {}
    for section, layers in wanted.items():
        if section not in given:
            report.fresh[section] = "the file has none"
            continue
        tensors, problem = _matched(section, given.pop(section), layers)
        if problem is None:
            values |= tensors
            report.loaded[section] = len(tensors)
        elif section in ("trunk", "stages"):
            raise WeightsError(f"{checkpoint.source} is of another network: {problem}")
        else:
            report.fresh[section] = problem
    for section in given:
        report.unused[section] = "this network has none"
    model.load_state_dict(values, strict=False)
    report.notes += _notes(model, checkpoint)
    return report


def _title(checkpoint: Checkpoint) -> str:
    return f"{checkpoint.source} ({checkpoint.layout}{', averaged' if checkpoint.averaged else ''})"


def _as_detector(given: dict[str, list[Layer]], wanted: dict[str, list[Layer]]) -> dict[str, list[Layer]]:
    """A classifier's layers by section of the detector that was cut from its architecture."""
    trunk, box = len(wanted["trunk"]), len(wanted["box head"])
    stages = given["stages"]
    parts = {
        "trunk": stages[:trunk],
        "box head": stages[trunk : trunk + box],
        "classifier's head": stages[trunk + box :] + given["predictor"],
    }
    return {name: layers for name, layers in parts.items() if layers}


def _matched(section: str, given: list[Layer], wanted: list[Layer]) -> tuple[dict[str, Tensor], str | None]:
    """Values by name in the network, or the first thing that doesn't fit."""
    values: dict[str, Tensor] = {}
    for source, target in zip(given, wanted, strict=False):
        for leaf, tensor in target.tensors.items():
            value = _value(source, target, leaf)
            if value is None:
                return {}, f"the file's {source.name} has no {leaf}, as {target.name} has"
            if value.shape != tensor.shape:
                if section in _PREDICTORS:
                    return {}, _count_differs(section, source, target)
                shapes = f"{tuple(value.shape)} in the file, {tuple(tensor.shape)} in the network"
                return {}, f"{source.name}.{leaf} is {shapes} ({target.name})"
            if value.is_floating_point() != tensor.is_floating_point():
                return (
                    {},
                    f"{source.name}.{leaf} is of {value.dtype} in the file, not of {tensor.dtype}",
                )
            if not bool(value.isfinite().all()):
                return {}, f"{source.name}.{leaf} has values that are not finite"
            values[f"{target.name}.{leaf}"] = value
        if "bias" in source.tensors and "bias" not in target.tensors:
            return {}, f"the file's {source.name} has a bias, {target.name} has none"
    if len(given) != len(wanted):
        return {}, f"the file's {section} has {len(given)} layers, the network's {len(wanted)}"
    return values, None


def _value(source: Layer, target: Layer, leaf: str) -> Tensor | None:
    """The value of one tensor of the network; None if the file has nothing for it."""
    tensor = target.tensors[leaf]
    value = source.tensors.get(leaf)
    if value is None and leaf == "num_batches_tracked":
        return torch.zeros_like(tensor)
    if value is None and leaf == "bias" and target.tensors["weight"].dim() == 4:
        return torch.zeros_like(tensor)  # a convolution without bias
    if value is not None and value.dim() == 2 and tensor.dim() == 4:
        return value[:, :, None, None]  # a linear layer, as a convolution of one pixel
    return value


def _count_differs(section: str, source: Layer, target: Layer) -> str:
    counts = len(source.tensors["weight"]), len(target.tensors["weight"])
    what = "anchors" if section == "RPN predictor" else "classes"
    return f"another number of {what}: {source.name} has {counts[0]} outputs in the file, {counts[1]} here"


def _notes(model: nn.Module, checkpoint: Checkpoint) -> list[str]:
    notes = []
    if isinstance(model, Detector) and checkpoint.pixels not in (None, model.settings.pixels):
        notes.append(f"these weights were trained on pixels normalized otherwise: {checkpoint.pixels!r}")
    convolutions = [module for module in model.modules() if isinstance(module, nn.Conv2d)]
    if checkpoint.layout == "timm classifier" and any(
        layer.padding[0] != layer.kernel_size[0] // 2 for layer in convolutions
    ):
        notes.append(
            "timm pads by half of every kernel, this network less in some: outputs differ at borders"
        )
    return notes
