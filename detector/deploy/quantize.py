"""Quantizes a detector to 8 bits for CPUs, calibrated on the user's images, and measures the loss of AP.

ONNX Runtime quantizes the convolutions after training: weights per channel, activations by their
range over the calibration images. The predictors of both heads and everything after them stay in
float32, because a box would move by whole pixels if its deltas had only 256 values.
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
from detector.deploy.contract import Contract
from detector.deploy.deployed import Deployed, OnnxDetector, fitted
from detector.deploy.export import contract_of, describe, real_batches, to_onnx
from detector.evaluation.coco_ap import Scores
from detector.evaluation.loop import evaluate
from detector.evaluation.renumbered import matched
from detector.weights.saved import SavedDetector
from nars.data import evenly
from nars.errors import DataError, UsageError
from nars.files import write_whole
from nars.foreign.parts import counted

__all__ = ["Quantized", "quantize"]


@dataclass(frozen=True)
class Quantized:
    """An int8 file that was written, with its size and accuracy."""

    path: Path
    bytes: int
    float_bytes: int
    """Size of the same detector as ONNX in float32."""
    images: int
    """How many images it was calibrated on."""
    before: Scores
    """The detector's scores on val."""
    after: Scores
    """The file's scores on val, in ONNX Runtime."""
    masks_before: Scores | None
    """The detector's scores of masks; None if it does not segment."""
    masks_after: Scores | None
    """The file's scores of masks."""
    contract: Contract
    """The input and output of the file."""


def quantize(saved: SavedDetector, data: CocoData, path: str | Path, *, images: int = 64) -> Quantized:
    """Write a detector as an int8 ONNX file, calibrated on so many training images, evenly spread over all.

    Classes are matched by their names. Raises `UsageError` if ONNX is not installed, `WeightsError` for a
    class of the data that the detector does not know, and `DataError` if a detector with masks finds nothing
    in the images to calibrate its mask head on.
    """
    try:
        from onnxruntime.quantization import QuantType, quant_pre_process, quantize_static
    except ImportError:
        raise UsageError("ONNX files need onnx and onnxruntime: pip install nars[onnx]") from None
    model = saved.detector()
    labelled = matched(model, saved.classes, data, "the detector")
    batches = real_batches(model, data)
    contract = contract_of(saved, model, batches)
    fixed = contract.fixed
    calibration = [data.train.images[index] for index in evenly(len(data.train.images), images)]
    inputs = [fitted(model, load(data.train, image).float() / 255, fixed) for image in calibration]
    _check_reaches_masks(Deployed(model), inputs, data.train.source)
    content = to_onnx(Deployed(model), batches, describe(saved, contract))
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        plain, prepared, result = (Path(folder) / f"{name}.onnx" for name in ("plain", "prepared", "int8"))
        plain.write_bytes(content)
        quant_pre_process(plain, prepared, skip_symbolic_shape=True)
        quantize_static(
            prepared,
            result,
            _CalibrationData(inputs),
            op_types_to_quantize=["Conv"],
            nodes_to_exclude=_predictors(prepared),
            per_channel=True,
            activation_type=QuantType.QUInt8,
            weight_type=QuantType.QInt8,
        )
        quantized = result.read_bytes()
    cpu = torch.device("cpu")
    before = evaluate(labelled, data, device=cpu)
    in_int8 = matched(OnnxDetector(quantized, model, fixed), saved.classes, data, "the detector")
    after = evaluate(in_int8, data, device=cpu)
    write_whole(path, quantized)
    return Quantized(
        Path(path),
        len(quantized),
        len(content),
        len(inputs),
        before.boxes,
        after.boxes,
        before.masks,
        after.masks,
        contract,
    )


@torch.no_grad()
def _check_reaches_masks(model: Deployed, inputs: Sequence[Tensor], source: Path) -> None:
    """Raise `DataError` if a mask head has nothing to be calibrated on, as it sees detections alone."""
    if model.model.settings.mask and not any(len(model(batch)[0]) for batch in inputs):
        where = f"{counted(len(inputs), 'image')} of {source}"
        remedy = "give more with --calibrate, or a detector that finds more"
        raise DataError(f"nothing is found in {where} to calibrate the mask head on: {remedy}")


def _predictors(path: Path) -> list[str]:
    """List the convolutions that predict objectness and deltas; the box head's predictors are linear."""
    import onnx

    weights = ("rpn.head.cls_logits.weight", "rpn.head.bbox_pred.weight")
    nodes = onnx.load(path).graph.node
    names = [node.name for node in nodes if node.op_type == "Conv" and node.input[1].endswith(weights)]
    assert len(names) >= len(weights), names
    return names


class _CalibrationData:
    """Hands calibration images to ONNX Runtime, one after the other."""

    def __init__(self, batches: Sequence[Tensor]) -> None:
        self._batches = iter([{"images": batch.numpy()} for batch in batches])

    def get_next(self) -> dict[str, Any] | None:
        """Return the next batch by input name; None after the last, as ONNX Runtime expects."""
        return next(self._batches, None)
