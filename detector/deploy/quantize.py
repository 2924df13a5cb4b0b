"""A detector in 8 bits for CPUs, calibrated on the user's images, with the AP before and after.

ONNX Runtime quantizes the convolutions after training: weights per channel, activations by their
range over the calibration images. The predictors of both heads stay in float32, as does all that
follows them: a box moves by whole pixels where its deltas have 256 values.
"""

from __future__ import annotations

import tempfile
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from detector.data.images import load
from detector.data.records import CocoData
from detector.deploy.deployed import Deployed, OnnxDetector, fitted
from detector.deploy.export import describe, real_batches, to_onnx
from detector.evaluation.coco_ap import Scores, evaluate
from detector.weights.saved import SavedDetector
from nars.errors import UsageError
from nars.files import write_whole

__all__ = ["Quantized", "quantize"]


@dataclass(frozen=True)
class Quantized:
    """An int8 file that was written, and what it costs."""

    path: Path
    bytes: int
    float_bytes: int
    """Of the same detector as ONNX in float32."""
    images: int
    """That it was calibrated on."""
    before: Scores
    """Of the detector on val."""
    after: Scores
    """Of the file on val, in ONNX Runtime."""


def quantize(saved: SavedDetector, data: CocoData, path: str | Path, *, images: int = 64) -> Quantized:
    """Write a detector as an int8 ONNX file, calibrated on the first training images of `data`.

    Raises `UsageError` where ONNX is not installed.
    """
    try:
        from onnxruntime.quantization import QuantType, quant_pre_process, quantize_static
    except ImportError:
        raise UsageError("ONNX files need onnx and onnxruntime: pip install nars[onnx]") from None
    model = saved.detector()
    content = to_onnx(Deployed(model), real_batches(model, data), describe(saved))
    chosen = data.train.images[:images]
    batches = [fitted(model, load(data.train, image).float() / 255) for image in chosen]
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        plain, prepared, done = (Path(folder) / f"{name}.onnx" for name in ("plain", "prepared", "done"))
        plain.write_bytes(content)
        quant_pre_process(plain, prepared, skip_symbolic_shape=True)
        quantize_static(
            prepared,
            done,
            _Batches(batches),
            op_types_to_quantize=["Conv"],
            nodes_to_exclude=_predictors(prepared),
            per_channel=True,
            activation_type=QuantType.QUInt8,
            weight_type=QuantType.QInt8,
        )
        quantized = done.read_bytes()
    cpu = torch.device("cpu")
    before = evaluate(model, data, device=cpu).boxes
    after = evaluate(OnnxDetector(quantized, model), data, device=cpu).boxes
    write_whole(path, quantized)
    return Quantized(Path(path), len(quantized), len(content), len(chosen), before, after)


def _predictors(path: Path) -> list[str]:
    """Names of the convolutions that predict objectness and deltas; the box head's are linear."""
    import onnx

    last = ("rpn.head.cls_logits.weight", "rpn.head.bbox_pred.weight")
    nodes = onnx.load(path).graph.node
    found = [node.name for node in nodes if node.op_type == "Conv" and node.input[1].endswith(last)]
    assert len(found) >= len(last), found
    return found


class _Batches:
    """Calibration images as ONNX Runtime asks for them, one after the other."""

    def __init__(self, batches: Sequence[Tensor]) -> None:
        self._left = iter([{"images": batch.numpy()} for batch in batches])

    def get_next(self) -> dict[str, Any] | None:
        return next(self._left, None)
