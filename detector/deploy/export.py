"""Exports detectors as files that run without nars: ONNX, `torch.export`'s ``pt2``, TorchScript.

Every file is opened again, run on real images and compared with its detector before it is written.
Height and width are free unless the detector has a feature pyramid, whose maps must double
exactly. The number of images in a batch is fixed, because each image is a branch of the graph.
"""

from __future__ import annotations

import json
import operator
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torchvision.ops import box_iou

from detector.data.images import load
from detector.data.records import CocoData
from detector.deploy.contract import Contract
from detector.deploy.deployed import Deployed, fitted, fitted_size, least_side
from detector.model.detector import Detector
from detector.weights.saved import SavedDetector
from nars.errors import DataError, ExportError, UsageError, closest
from nars.files import write_whole
from nars.foreign.limits import MOST_SIDE
from nars.networks.formats import RUNS, onnx_file, pt2_file, torchscript_file, trace

__all__ = ["FORMATS", "Exported", "compare", "contract_of", "describe", "export", "real_batches", "to_onnx"]

FORMATS = ("onnx", "pt2", "torchscript")
"""Formats by the names that `export` takes."""

_TOLERANCE = 1e-3
"""Largest accepted deviation of a score, of a mask's probability, and of a box relative to the image.
Kernels that sum in another order deviate by 1e-5; a wrong operator gives entirely different boxes."""

_CHECKED_IMAGES = 4
"""How many real images a file is run on."""
_THRESHOLD_MARGIN = 0.01
"""Detections with a score this close to the threshold may be missing from either side."""
_WITHOUT_MASKS = 4
"""Outputs of a detector that does not segment; masks are the last one of another."""


@dataclass(frozen=True)
class Exported:
    """A file that was written, and how closely it reproduces the detector."""

    path: Path
    format: str
    bytes: int
    batch: int
    """Images in a batch."""
    sizes: str
    """``any``, or height and width in pixels."""
    detections: int
    """How many detections in real images were compared."""
    deviation: float
    """Largest difference of a score or of a mask's probability, or of a box relative to the image."""
    contract: Contract
    """The input and output of the file."""

    def to_dict(self) -> dict[str, Any]:
        """Return the fields as plain values for JSON."""
        return asdict(self) | {"path": str(self.path), "contract": self.contract.to_dict()}


def export(
    saved: SavedDetector, data: CocoData, path: str | Path, format: str, *, batch: int = 1
) -> Exported:
    """Write a detector in the form of `Deployed`, compared on the first validation images of `data`.

    The file describes its parts, settings, classes and metrics, as metadata in ONNX and as extra
    files in the other formats. If it does not reproduce the detector, nothing is written and
    `ExportError` is raised. Raises `UsageError` for an unknown format or if ONNX is not
    installed, and `DataError` if there is no image to compare on.
    """
    if format not in FORMATS:
        raise UsageError(f"unknown format {format!r}: {closest(format, FORMATS)}")
    model = Deployed(saved.detector())
    batches = real_batches(model.model, data, batch)
    contract = contract_of(saved, model.model, batches)
    description = describe(saved, contract)
    if format == "onnx":
        content = to_onnx(model, batches, description)
    elif format == "pt2":
        content = pt2_file(_traced(model, batches), description)
    else:
        content = torchscript_file(model, batches[0], description)
    detections, deviation = _check(format, content, model, batches)
    write_whole(path, content)
    sizes = "any" if contract.fixed is None else "x".join(map(str, contract.fixed))
    return Exported(Path(path), format, len(content), batch, sizes, detections, deviation, contract)


def to_onnx(model: Deployed, batches: Sequence[Tensor], description: Mapping[str, str]) -> bytes:
    """Return the ONNX file of a detector without comparing it.

    Raises `UsageError` if ONNX is not installed.
    """
    return onnx_file(_traced(model, batches), ["images"], list(model.outputs), description)


def real_batches(model: Detector, data: CocoData, size: int = 1) -> list[Tensor]:
    """Make batches [size, 3, H, W] of the first validation images, as `Deployed` takes them.

    Each batch repeats one image. For a file of one size, they are images of the most frequent one. Raises
    `DataError` if there is no image.
    """
    subset = data.val if data.val.images else data.train
    if not subset.images:
        raise DataError(f"{subset.source}: no image to compare an exported file on")
    images = subset.images
    if not _sizes_are_free(model):
        sizes = [fitted_size(model, image.height, image.width) for image in images]
        (fixed, _), *_ = Counter(sizes).most_common(1)
        images = tuple(image for image, size in zip(images, sizes, strict=True) if size == fixed)
    batches = [fitted(model, load(subset, image).float() / 255) for image in images[:_CHECKED_IMAGES]]
    return [batch.repeat(size, 1, 1, 1) for batch in batches]


def contract_of(saved: SavedDetector, model: Detector, batches: Sequence[Tensor]) -> Contract:
    """Return the contract of a file that is traced on `batches`, as `real_batches` makes them."""
    height, width = batches[0].shape[-2:]
    fixed = None if _sizes_are_free(model) else (height, width)
    return Contract.of(model, saved.classes, fixed, len(batches[0]))


def describe(saved: SavedDetector, contract: Contract) -> dict[str, str]:
    """Return the description that a file carries: names of entries, with YAML or JSON."""
    return {
        "contract.json": json.dumps(contract.to_dict()),
        "settings.yaml": saved.settings.to_yaml(),
        "parts.json": saved.parts.model_dump_json(exclude_defaults=True),
        "classes.json": json.dumps(saved.classes),
        "metrics.json": json.dumps(dict(saved.metrics)),
    }


def compare(expected: Sequence[Tensor], actual: Sequence[Tensor], threshold: float, side: float) -> float:
    """Return the largest deviation between two sets of detections, as `Deployed` returns them.

    Boxes count relative to `side` pixels. The result is infinite if a detection well above the
    `threshold` has no counterpart.
    """
    return max(
        _deviation(expected, actual, threshold, side),
        _deviation(actual, expected, threshold, side),
    )


def _deviation(outputs: Sequence[Tensor], others: Sequence[Tensor], threshold: float, side: float) -> float:
    """Return the largest deviation of detections from their nearest counterparts among `others`."""
    boxes, labels, scores, owners = outputs[:_WITHOUT_MASKS]
    other_boxes, other_labels, other_scores, other_owners = others[:_WITHOUT_MASKS]
    worst = 0.0
    for index in torch.where(scores > threshold + _THRESHOLD_MARGIN)[0].tolist():
        same = torch.where((other_labels == labels[index]) & (other_owners == owners[index]))[0]
        if not len(same):
            return float("inf")
        best = same[box_iou(boxes[index][None], other_boxes[same])[0].argmax()]
        shift = float((boxes[index] - other_boxes[best]).abs().max()) / side
        worst = max(worst, shift, abs(float(scores[index] - other_scores[best])))
        if len(outputs) > _WITHOUT_MASKS:
            worst = max(worst, float((outputs[-1][index] - others[-1][best]).abs().max()))
    return worst


def _traced(model: Deployed, batches: Sequence[Tensor]) -> torch.export.ExportedProgram:
    """Trace the graph of a detector, for any image size if its sizes are free."""
    example, shapes = batches[0], None
    if _sizes_are_free(model.model):
        least = least_side(model.model)
        sides = [torch.export.Dim(name, min=least, max=MOST_SIDE) for name in ("height", "width")]
        shapes = ({2: sides[0], 3: sides[1]},)
    with torch.no_grad():
        program = trace(model, (example,), shapes)
    _allow_few(program)
    return program


def _allow_few(program: torch.export.ExportedProgram) -> None:
    """Let an image have no box, or only one.

    torchvision tells the tracer that suppression always leaves two boxes or more (the default of
    the deprecated `create_unbacked_symint` in its registration), and the graph asserts this.
    """
    graph = program.graph_module.graph
    for node in list(graph.nodes):
        if node.target is not torch.ops.aten._assert_scalar.default:
            continue
        condition = node.args[0]
        if condition.target is operator.ge and condition.args[1] == 2:
            size = condition.args[0]
            if size.args and getattr(size.args[0], "target", None) is torch.ops.torchvision.nms.default:
                graph.erase_node(node)
    program.graph_module.recompile()


def _sizes_are_free(model: Detector) -> bool:
    """Whether a file of this detector accepts images of any size."""
    return model.parts.fpn is None


@torch.no_grad()
def _check(format: str, content: bytes, model: Deployed, batches: Sequence[Tensor]) -> tuple[int, float]:
    """Return how many detections were compared, and the largest deviation.

    Raises `ExportError` for a deviation above `_TOLERANCE`.
    """
    threshold, worst, count = model.model.settings.score_threshold, 0.0, 0
    # Grain tests the case that usually nothing is found. (In a plain image all anchors tie, and
    # runtimes differ in which of them they keep.)
    grain = torch.rand(batches[0].shape, generator=torch.Generator().manual_seed(0))
    cases = [*batches, 0.45 + 0.1 * grain]
    for batch, actual in zip(cases, RUNS[format](content, [(case,) for case in cases]), strict=True):
        expected = model(batch)
        count += len(expected[0])
        worst = max(worst, compare(expected, actual, threshold, max(batch.shape[-2:])))
    if not worst <= _TOLERANCE:
        rule = f"{_TOLERANCE:g} of a score or a mask, or of the image for a box, is accepted"
        raise ExportError(f"the {format} file deviates from the detector by {worst:.2g}, {rule}")
    return count, worst
