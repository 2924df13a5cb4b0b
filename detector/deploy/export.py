"""Detectors as files that run without nars: ONNX, `torch.export`'s ``pt2``, TorchScript.

Every file is opened again, run on real images and compared with the detector it was made from before
it is written. Height and width are free where the detector has no feature pyramid, whose maps must
double exactly; the number of images in a batch is fixed, since each image is a branch of the graph.
"""

from __future__ import annotations

import io
import json
import operator
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torchvision.ops import box_iou

from detector.data.images import load
from detector.data.records import CocoData
from detector.deploy.deployed import Deployed, fitted
from detector.model.detector import Detector
from detector.weights.saved import SavedDetector
from nars.errors import DataError, ExportError, UsageError, closest
from nars.files import write_whole
from nars.networks.export import onnx_file, pt2_file, run_onnx, run_pt2, trace

__all__ = ["FORMATS", "Exported", "compare", "describe", "export", "real_batches", "to_onnx"]

FORMATS = ("onnx", "pt2", "torchscript")

TOLERANCE = 1e-3
"""Largest deviation of a score, and of a box relative to the image, that is accepted. Kernels that add
up in another order give 1e-5; a wrong operator gives other boxes altogether."""

_CHECKED = 4
"""Real images that a file is run on."""
_UNSURE = 0.01
"""Detections so near the score threshold may be found by one and missed by the other."""
_LARGEST = 4096
"""Pixels of a side that a file is declared for."""


@dataclass(frozen=True)
class Exported:
    """A file that was written, and how closely it reproduces the detector."""

    path: Path
    format: str
    bytes: int
    batch: int
    sizes: str
    """``any``, or height and width in pixels."""
    detections: int
    """In the real images that were compared."""
    deviation: float
    """Largest difference of a score, or of a box relative to the image."""

    def to_dict(self) -> dict[str, Any]:
        return asdict(self) | {"path": str(self.path)}


def export(
    saved: SavedDetector, data: CocoData, path: str | Path, format: str, *, batch: int = 1
) -> Exported:
    """Write a detector as `Deployed`, compared on the first validation images of `data`.

    The file says what it is: architecture, settings and classes, as metadata in ONNX and as extra
    files in the others. Raises `ExportError`, and writes nothing, where it does not reproduce the
    detector; `UsageError` for an unknown format and where ONNX is not installed; `DataError` where
    there is no image to compare on.
    """
    if format not in FORMATS:
        raise UsageError(f"unknown format {format!r}: {closest(format, FORMATS)}")
    model = Deployed(saved.detector())
    batches = real_batches(model.model, data, batch)
    about = describe(saved)
    if format == "onnx":
        content = to_onnx(model, batches, about)
    elif format == "pt2":
        content = pt2_file(_traced(model, batches), about)
    else:
        content = _scripted(model, batches[0], about)
    detections, deviation = _check(format, content, model, batches)
    write_whole(path, content)
    side = "x".join(map(str, batches[0].shape[-2:]))
    sizes = "any" if _sizes_are_free(model.model) else side
    return Exported(Path(path), format, len(content), batch, sizes, detections, deviation)


def to_onnx(model: Deployed, batches: Sequence[Tensor], about: Mapping[str, str]) -> bytes:
    """The ONNX file of a detector, not compared yet. Raises `UsageError`."""
    return onnx_file(_traced(model, batches), ["images"], list(model.outputs), about)


def real_batches(model: Detector, data: CocoData, size: int = 1) -> list[Tensor]:
    """Batches [size, 3, H, W] of the first validation images, as `Deployed` takes them."""
    subset = data.val if data.val.images else data.train
    if not subset.images:
        raise DataError(f"{subset.source}: no image to compare an exported file on")
    found = [fitted(model, load(subset, image).float() / 255) for image in subset.images[:_CHECKED]]
    if not _sizes_are_free(model):
        found = [each for each in found if each.shape == found[0].shape]
    return [each.repeat(size, 1, 1, 1) for each in found]


def describe(saved: SavedDetector) -> dict[str, str]:
    """What a file says of itself: names to YAML or JSON."""
    return {
        "settings.yaml": saved.settings.to_yaml(),
        "parts.json": saved.parts.model_dump_json(exclude_defaults=True),
        "classes.json": json.dumps(saved.classes),
        "metrics.json": json.dumps(dict(saved.metrics)),
    }


def compare(expected: Sequence[Tensor], found: Sequence[Tensor], threshold: float, side: float) -> float:
    """The largest deviation of `found` detections from the `expected`, as sets.

    Both are what `Deployed` gives; boxes count relative to `side` pixels. Infinite where a detection
    well above the `threshold` has no counterpart.
    """
    worst = 0.0
    for one, other in ((expected, found), (found, expected)):
        boxes, labels, scores, owners = one[:4]
        for index in torch.where(scores > threshold + _UNSURE)[0].tolist():
            same = torch.where((other[1] == labels[index]) & (other[3] == owners[index]))[0]
            if not len(same):
                return float("inf")
            best = same[box_iou(boxes[index][None], other[0][same])[0].argmax()]
            shift = float((boxes[index] - other[0][best]).abs().max()) / side
            worst = max(worst, shift, abs(float(scores[index] - other[2][best])))
    return worst


def _traced(model: Deployed, batches: Sequence[Tensor]) -> torch.export.ExportedProgram:
    """The graph of a detector, for any size where it can be."""
    example, shapes = batches[0], None
    if _sizes_are_free(model.model):
        # A map of one pixel would be traced as a case of its own.
        least = max(model.model.transform.smallest_side, 2 * max(model.model.backbone.strides))
        sides = [torch.export.Dim(name, min=least, max=_LARGEST) for name in ("height", "width")]
        shapes = ({2: sides[0], 3: sides[1]},)
    with torch.no_grad():
        program = trace(model, (example,), shapes)
    _allow_few(program)
    return program


def _allow_few(program: torch.export.ExportedProgram) -> None:
    """Let an image have no box or a single one.

    torchvision tells the tracer that its suppression always leaves two boxes or more (the default
    of the deprecated `create_unbacked_symint` in its registration), and the graph insists on it.
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
    return model.parts.fpn is None


def _scripted(model: Deployed, example: Tensor, about: Mapping[str, str]) -> bytes:
    """TorchScript, traced: the detector's Python is more than the scripting compiler knows."""
    buffer = io.BytesIO()
    with warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("ignore")  # TorchScript is deprecated, and the tracer fears for constants
        script = torch.jit.trace(model, (example,), check_trace=False)
        torch.jit.save(script, buffer, _extra_files=dict(about))
    return buffer.getvalue()


@torch.no_grad()
def _run_scripted(content: bytes, batches: Sequence[tuple[Tensor, ...]]) -> list[list[Tensor]]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        script = torch.jit.load(io.BytesIO(content))
        return [list(script(*batch)) for batch in batches]


_RUNS: dict[str, Callable[[bytes, Sequence[tuple[Tensor, ...]]], list[list[Tensor]]]] = {
    "onnx": run_onnx,
    "pt2": run_pt2,
    "torchscript": _run_scripted,
}


@torch.no_grad()
def _check(format: str, content: bytes, model: Deployed, batches: Sequence[Tensor]) -> tuple[int, float]:
    """Detections compared, and the largest deviation. Raises `ExportError` above `TOLERANCE`."""
    threshold, worst, count = model.model.settings.score_threshold, 0.0, 0
    # Grain, where usually nothing is found. (In a plain image all anchors tie, and runtimes differ in
    # which they take.)
    grain = torch.rand(batches[0].shape, generator=torch.Generator().manual_seed(0))
    cases = [*batches, 0.45 + 0.1 * grain]
    for batch, found in zip(cases, _RUNS[format](content, [(each,) for each in cases]), strict=True):
        expected = model(batch)
        count += len(expected[0])
        worst = max(worst, compare(expected, found, threshold, max(batch.shape[-2:])))
    if not worst <= TOLERANCE:
        rule = f"{TOLERANCE:g} of a score, or of the image for a box, is accepted"
        raise ExportError(f"the {format} file deviates from the detector by {worst:.2g}, {rule}")
    return count, worst
