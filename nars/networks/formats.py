"""Files of any module: ONNX, `torch.export`'s ``pt2`` and TorchScript, made, opened and run.

ONNX files come from the exporter that is built on `torch.export`. Measured on fbnetv3_a, the older
exporter, built on TorchScript, has the same largest deviation (1e-6) and the same speed in ONNX
Runtime, and converts in 2 CPU seconds instead of 20, but it is deprecated and about to be removed.
"""

from __future__ import annotations

import io
import logging
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib import import_module
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from nars.errors import UsageError

__all__ = [
    "ONNX_PACKAGES",
    "RUNS",
    "Run",
    "listed",
    "onnx_file",
    "onnx_session",
    "optional",
    "pt2_file",
    "run_onnx",
    "run_pt2",
    "run_torchscript",
    "torchscript_file",
    "trace",
]

Run = Callable[[bytes, Sequence[tuple[Tensor, ...]]], list[list[Tensor]]]
"""Gives the outputs of a file for each batch."""

ONNX_PACKAGES = ("onnx", "onnxscript", "onnxruntime")
"""Optional packages that writing and checking ONNX takes."""

_CHATTER = ("torch.onnx", "torch.export", "torch._dynamo", "onnxscript", "onnx_ir")
"""Loggers of the exporters."""


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
    onnx, _, _ = map(optional, ONNX_PACKAGES)
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
    onnxruntime = optional("onnxruntime")
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
    return [listed(module(*batch)) for batch in batches]


def torchscript_file(model: nn.Module, example: Tensor, description: Mapping[str, str]) -> bytes:
    """A TorchScript file, traced because the scripting compiler does not know all of the code."""
    buffer = io.BytesIO()
    with warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("ignore")  # TorchScript is deprecated, and the tracer warns of constants
        script = torch.jit.trace(model, (example,), check_trace=False)
        torch.jit.save(script, buffer, _extra_files=dict(description))
    return buffer.getvalue()


@torch.no_grad()
def run_torchscript(data: bytes, batches: Sequence[tuple[Tensor, ...]]) -> list[list[Tensor]]:
    """The outputs of a TorchScript file, for each batch."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        script = torch.jit.load(io.BytesIO(data))
        return [listed(script(*batch)) for batch in batches]


RUNS: dict[str, Run] = {"onnx": run_onnx, "pt2": run_pt2, "torchscript": run_torchscript}
"""How a file of each format is run."""


def listed(outputs: Any) -> list[Tensor]:
    """The outputs of a module as a list."""
    return list(outputs) if isinstance(outputs, (tuple, list)) else [outputs]


def optional(name: str) -> Any:
    """The module `name`, which is needed for ONNX. Raises `UsageError` if it is not installed."""
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
