"""Exports networks to files that run without nars: ONNX, and `torch.export`'s ``pt2``.

Before a file is written, it is opened again, run on random images and compared with the network it
was made from. ONNX files come from the exporter that is built on `torch.export`. Measured on
fbnetv3_a, the older exporter, built on TorchScript, has the same largest deviation (1e-6) and the
same speed in ONNX Runtime, and converts in 2 CPU seconds instead of 20, but it is deprecated and
about to be removed.

`trace`, `onnx_file`, `pt2_file`, `run_onnx`, `run_pt2` and `check` are the steps, for any module.
"""

from __future__ import annotations

import io
import json
import logging
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from nars.device import seeded
from nars.errors import ExportError, SpecError, UsageError, closest
from nars.files import write_whole
from nars.networks.build import build, smallest_side
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

FORMATS = ("onnx", "pt2")
"""Names of the formats."""

TOLERANCE = 1e-4
"""Largest accepted deviation, relative to the largest output. Float32 kernels that sum in another
order give 1e-6 on the deepest networks; a wrong operator, padding or weight gives 1e-2 and more."""

_CHECKED_BATCHES = (1, 3)
"""Batch sizes that a file is run on. Neither is the traced one, so a size fixed in the file shows."""

_TRACED_BATCH = 2
"""Batch size of the example that is traced."""

_ONNX_PACKAGES = ("onnx", "onnxscript", "onnxruntime")
"""Optional packages that writing and checking ONNX takes."""

_CHATTER = ("torch.onnx", "torch.export", "torch._dynamo", "onnxscript", "onnx_ir")
"""Loggers of the exporters."""


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

    def to_dict(self) -> dict[str, Any]:
        return asdict(self) | {"path": str(self.path)}


def export(
    source: Weights | Candidate | Architecture,
    path: str | Path,
    format: str,
    *,
    resolution: int | None = None,
    num_classes: int | None = None,
) -> Exported:
    """Write a classifier: normalized images [N, C, side, side], with any N, to logits [N, classes].

    The side is `resolution`, by default the architecture's. Without trained weights the network has
    fresh ones and `num_classes` (1000) outputs. The file carries a description of architecture,
    recipe, classes and normalization, as metadata in ONNX and as extra files in pt2.

    Raises `ExportError`, and writes nothing, if the file does not reproduce the network;
    `UsageError` for an unknown format, for a class count that differs from the weights', and if
    ONNX is not installed; `SpecError` for too few pixels.
    """
    if format not in FORMATS:
        raise UsageError(f"unknown format {format!r}: {closest(format, FORMATS)}")
    for name in _ONNX_PACKAGES if format == "onnx" else ():
        _optional(name)  # says what is missing before any work is done
    architecture = source if isinstance(source, Architecture) else _candidate(source).architecture
    side = resolution or architecture.resolution
    least = smallest_side(architecture.stages)
    if side < least:
        raise SpecError(f"{architecture.name} needs {least} pixels or more per side, got {side}")
    model = _network(source, architecture, num_classes)
    classes = model.get_submodule("head.classifier").out_channels
    assert isinstance(classes, int)

    def images(count: int) -> tuple[Tensor]:
        generator = torch.Generator().manual_seed(count)
        return (torch.randn(count, architecture.in_channels, side, side, generator=generator),)

    program = trace(model, images(_TRACED_BATCH), ({0: torch.export.Dim("batch")},))
    describe = _describe(source, side)
    if format == "onnx":
        data = onnx_file(program, ["images"], ["logits"], describe)
    else:
        data = pt2_file(program, describe)
    worst = check(format, data, model, [images(count) for count in _CHECKED_BATCHES])
    write_whole(path, data)
    return Exported(Path(path), format, len(data), side, classes, worst)


def trace(model: nn.Module, example: tuple[Tensor, ...], dynamic_shapes: Any) -> torch.export.ExportedProgram:
    """The graph of `model`; `dynamic_shapes` are as `torch.export.export` takes them."""
    with _quiet():
        return torch.export.export(model.eval(), example, dynamic_shapes=dynamic_shapes)


def onnx_file(
    program: torch.export.ExportedProgram,
    inputs: Sequence[str],
    outputs: Sequence[str],
    description: Mapping[str, str],
) -> bytes:
    """An ONNX file of a traced module, with `description` as its metadata. Raises `UsageError`."""
    onnx, _, _ = map(_optional, _ONNX_PACKAGES)
    with _quiet():
        converted = torch.onnx.export(
            program, input_names=inputs, output_names=outputs, dynamo=True, verbose=False
        )
    assert converted is not None
    proto = converted.model_proto
    symbols = {dim.dim_param for value in proto.graph.input for dim in value.type.tensor_type.shape.dim}
    for value in (*proto.graph.input, *proto.graph.output, *proto.graph.value_info):
        for dim in value.type.tensor_type.shape.dim:
            if dim.dim_param and len(symbols - {""}) == 1:
                dim.dim_param = "batch"  # the tracer invents names such as s77
    onnx.helper.set_model_props(proto, dict(description))
    data: bytes = proto.SerializeToString()
    return data


def pt2_file(program: torch.export.ExportedProgram, description: Mapping[str, str]) -> bytes:
    """A ``pt2`` archive of a traced module, with `description` as its extra files."""
    buffer = io.BytesIO()
    with _quiet():
        torch.export.save(program, buffer, extra_files=dict(description))
    return buffer.getvalue()


def onnx_session(data: bytes) -> Any:
    """ONNX Runtime on the CPU, with PyTorch's number of threads, for an ONNX file. Raises `UsageError`."""
    onnxruntime = _optional("onnxruntime")
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3  # errors only; its warnings are about its own optimizations
    options.intra_op_num_threads = torch.get_num_threads()
    return onnxruntime.InferenceSession(data, options, providers=["CPUExecutionProvider"])


def run_onnx(data: bytes, batches: Sequence[tuple[Tensor, ...]]) -> list[list[Tensor]]:
    """The outputs of an ONNX file in ONNX Runtime on the CPU, for each batch. Raises `UsageError`."""
    session = onnx_session(data)
    names = [argument.name for argument in session.get_inputs()]
    feeds = [dict(zip(names, (tensor.numpy() for tensor in batch), strict=True)) for batch in batches]
    return [[torch.from_numpy(np.asarray(out)) for out in session.run(None, feed)] for feed in feeds]


@torch.no_grad()
def run_pt2(data: bytes, batches: Sequence[tuple[Tensor, ...]]) -> list[list[Tensor]]:
    """The outputs of a ``pt2`` archive, for each batch."""
    with _quiet():
        module = torch.export.load(io.BytesIO(data)).module()
    return [_listed(module(*batch)) for batch in batches]


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
    results = (run_onnx if format == "onnx" else run_pt2)(data, batches)
    worst = 0.0
    for batch, outputs in zip(batches, results, strict=True):
        for expected, output in zip(_listed(model(*batch)), outputs, strict=True):
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


def _describe(source: Weights | Candidate | Architecture, resolution: int) -> dict[str, str]:
    """The description that a file carries: YAML and JSON by name."""
    description = {"resolution": json.dumps(resolution)}
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
        description["normalisation.json"] = json.dumps({"mean": source.mean, "std": source.std})
        description["metrics.json"] = json.dumps(dict(source.metrics))
    return description


def _listed(outputs: Any) -> list[Tensor]:
    return list(outputs) if isinstance(outputs, (tuple, list)) else [outputs]


def _optional(name: str) -> Any:
    try:
        return import_module(name)
    except ImportError:
        raise UsageError(f"ONNX files need {name}: pip install nars[onnx]") from None


@contextmanager
def _quiet() -> Iterator[None]:
    """Silence the exporters, which warn about their own internals; the file itself is checked."""
    loggers = [logging.getLogger(name) for name in _CHATTER]
    levels = [logger.level for logger in loggers]
    try:
        for logger in loggers:
            logger.setLevel(logging.ERROR)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)
