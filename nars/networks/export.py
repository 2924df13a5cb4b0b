"""Exports classifiers to files that run without nars: ONNX, `torch.export`'s ``pt2``, TorchScript.

Before a file is written, it is opened again, run on random images and compared with the network it
was made from. `nars.networks.contract` says what a file takes and gives; `nars.networks.formats` has
the steps, for any module.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from nars.device import seeded
from nars.errors import ExportError, SpecError, UsageError, closest
from nars.files import write_whole
from nars.networks.build import build, smallest_side
from nars.networks.contract import Contract, Deployed
from nars.networks.formats import (
    ONNX_PACKAGES,
    RUNS,
    listed,
    onnx_file,
    onnx_session,
    optional,
    pt2_file,
    run_onnx,
    run_pt2,
    torchscript_file,
    trace,
)
from nars.networks.weights import Weights
from nars.spec import Architecture, Candidate, Recipe

__all__ = [
    "FORMATS",
    "Exported",
    "check",
    "deviation",
    "export",
    "onnx_file",
    "onnx_session",
    "pt2_file",
    "run_onnx",
    "run_pt2",
    "trace",
]

FORMATS = ("onnx", "pt2", "torchscript")
"""Names of the formats."""

TOLERANCE = 1e-4
"""Largest accepted deviation, relative to the largest output. Float32 kernels that sum in another
order give 1e-6 on the deepest networks; a wrong operator, padding or weight gives 1e-2 and more."""

_CHECKED_BATCHES = (1, 3)
"""Batch sizes that a file is run on. Neither is the traced one, so a size fixed in the file shows."""

_TRACED_BATCH = 2
"""Batch size of the example that is traced."""


@dataclass(frozen=True)
class Exported:
    """A written file, and how closely it reproduces the network."""

    path: Path
    format: str
    bytes: int
    resolution: int
    num_classes: int
    deviation: float
    """Largest absolute difference of logits, relative to the largest logit."""
    contract: Contract
    """The input and output of the file."""

    def to_dict(self) -> dict[str, Any]:
        return asdict(self) | {"path": str(self.path), "contract": self.contract.to_dict()}


def export(
    source: Weights | Candidate | Architecture,
    path: str | Path,
    format: str,
    *,
    resolution: int | None = None,
    num_classes: int | None = None,
) -> Exported:
    """Write a classifier: images [N, C, side, side] in 0..1, with any N, to logits [N, classes].

    The side is `resolution`, by default the architecture's; normalization is inside. Without trained
    weights the network has random ones, `num_classes` (1000) outputs and no normalization. The file
    carries a description of its contract, architecture, recipe, classes and weights, as metadata in
    ONNX and as extra files in the other formats.

    Raises `ExportError`, and writes nothing, if the file does not reproduce the network;
    `UsageError` for an unknown format, for a class count that differs from the weights', and if
    ONNX is not installed; `SpecError` for too few pixels.
    """
    if format not in FORMATS:
        raise UsageError(f"unknown format {format!r}: {closest(format, FORMATS)}")
    for name in ONNX_PACKAGES if format == "onnx" else ():
        optional(name)  # says what is missing before any work is done
    architecture = source if isinstance(source, Architecture) else _candidate(source).architecture
    side = resolution or architecture.resolution
    least = smallest_side(architecture.stages)
    if side < least:
        raise SpecError(f"{architecture.name} needs {least} pixels or more per side, got {side}")
    network = _network(source, architecture, num_classes)
    classes = network.get_submodule("head.classifier").out_channels
    assert isinstance(classes, int)
    contract = _contract(source, architecture, side)
    model = Deployed(network, contract)

    def images(count: int) -> tuple[Tensor]:
        generator = torch.Generator().manual_seed(count)
        return (torch.rand(count, architecture.in_channels, side, side, generator=generator),)

    describe = _describe(source, side, contract)
    if format == "torchscript":
        data = torchscript_file(model, *images(_TRACED_BATCH), describe)
    else:
        program = trace(model, images(_TRACED_BATCH), ({0: torch.export.Dim("batch")},))
        made = format == "onnx"
        data = onnx_file(program, ["images"], ["logits"], describe) if made else pt2_file(program, describe)
    worst = check(format, data, model, [images(count) for count in _CHECKED_BATCHES])
    write_whole(path, data)
    return Exported(Path(path), format, len(data), side, classes, worst, contract)


@torch.no_grad()
def check(
    format: str,
    data: bytes,
    model: nn.Module,
    batches: Sequence[tuple[Tensor, ...]],
    tolerance: float = TOLERANCE,
) -> float:
    """The largest relative deviation of a file's outputs from the model's over all batches.

    Raises `ExportError` if it is above `tolerance` or a shape differs.
    """
    results = RUNS[format](data, batches)
    worst = 0.0
    for batch, outputs in zip(batches, results, strict=True):
        for expected, output in zip(listed(model(*batch)), outputs, strict=True):
            if expected.shape != output.shape:
                shapes = f"{list(output.shape)} instead of {list(expected.shape)}"
                raise ExportError(f"the {format} file gives {shapes} on a batch of {len(batch[0])}")
            worst = max(worst, deviation(expected, output))
    if not worst <= tolerance:
        rule = f"{tolerance:g} of the largest output is accepted"
        raise ExportError(f"the {format} file deviates from the network by {worst:.2g}, {rule}")
    return worst


def deviation(expected: Tensor, output: Tensor) -> float:
    """The largest absolute difference relative to the largest expected value; NaN if any value is."""
    scale = expected.abs().max().clamp_min(torch.finfo(torch.float32).tiny)
    return float((expected - output).abs().max() / scale)


def _candidate(source: Weights | Candidate) -> Candidate:
    return source.candidate if isinstance(source, Weights) else source


def _network(
    source: Weights | Candidate | Architecture, architecture: Architecture, num_classes: int | None
) -> nn.Module:
    if isinstance(source, Weights):
        if num_classes not in (None, len(source.classes)):
            trained = f"{source.source} has {len(source.classes)} classes"
            raise UsageError(f"{trained}, {num_classes} were asked for")
        return source.network()
    with seeded(0, torch.device("cpu")):
        return build(architecture, 1000 if num_classes is None else num_classes).eval()


def _contract(source: Weights | Candidate | Architecture, architecture: Architecture, side: int) -> Contract:
    """The input and output of a file."""
    channels = architecture.in_channels
    if isinstance(source, Weights):
        fit, mean, std = source.candidate.recipe.fit, source.mean[:channels], source.std[:channels]
        return Contract(side, channels, mean, std, fit, source.classes, is_trained=True)
    fit = "crop" if isinstance(source, Architecture) else source.recipe.fit
    return Contract(side, channels, (0.0,) * channels, (1.0,) * channels, fit, (), is_trained=False)


def _describe(
    source: Weights | Candidate | Architecture, resolution: int, contract: Contract
) -> dict[str, str]:
    """The description that a file carries: YAML and JSON by name."""
    description = {"resolution": json.dumps(resolution), **contract.metadata}
    recipe: Recipe | None = None
    if isinstance(source, Architecture):
        architecture = source
    else:
        architecture, recipe = _candidate(source).architecture, _candidate(source).recipe
    description["architecture.yaml"] = architecture.to_yaml()
    if recipe is not None:
        description["recipe.yaml"] = recipe.to_yaml()
    if isinstance(source, Weights):
        description["classes.json"] = json.dumps(source.classes)
        description["metrics.json"] = json.dumps(dict(source.metrics))
    return description
