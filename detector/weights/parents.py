"""The trained networks that detectors inherit from: detectors, and classifiers cut as detectors are.

A parent has the names of `detector.model.detector.Detector`. `detector.model.parts.parts_of` documents how a
classifier is cut; it brings trunk and box head, and neither proposals nor predictors.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from torch import Tensor

from detector.model.catalogue import published, published_settings
from detector.model.detector import Detector
from detector.model.parts import Parts, parts_of, with_mask_head
from detector.model.settings import Pixels, Settings
from detector.weights import zoo
from detector.weights.checkpoints import read_checkpoint
from detector.weights.loading import load_checkpoint
from detector.weights.saved import DETECTOR, SavedDetector
from nars.errors import SpecError, UsageError, WeightsError
from nars.networks.weights import Weights
from nars.parents.alignment import Site
from nars.parents.parent import Parent
from nars.parents.sources import parent, parent_of, weights_of_run
from nars.spec import Block
from nars.tensors import fingerprint, format_of, read_tensors

__all__ = [
    "BOX",
    "MASK",
    "RPN",
    "TRUNK",
    "DetectorParent",
    "block_names",
    "parent_called",
    "parent_in",
    "sites_of",
]

TRUNK, RPN, BOX, MASK = (
    "backbone.trunk.stages",
    "rpn.head.tower.stages",
    "roi_heads.box_head.stages.stages",
    "roi_heads.mask_head.stages.stages",
)
"""The starts of the names of a detector's blocks, part by part."""

_COCO, _COCO_CLASSES = "_coco", 80
"""The end of the names of published detectors' weights, and what they find."""


@dataclass(frozen=True, eq=False)
class DetectorParent:
    """A trained network that detectors inherit from."""

    parts: Parts
    """Its parts; the mask head has weights if it was trained with one."""
    state: Mapping[str, Tensor]
    """Tensors by the names of a `Detector` of these parts; a classifier has those of trunk and box head."""
    pixels: Pixels
    """The pixels that it takes."""
    resolution: int
    """Pixels of the side of the images that it was trained on, for a detector of the shorter one."""
    source: str
    """The name or file that it came from."""
    classes: tuple[str, ...] = ()
    """The classes of a detector; none for a classifier, whose classes are not those of objects."""
    settings: Settings | None = None
    """The settings of a detector; None for a classifier."""
    importance: Mapping[str, Tensor] = field(default_factory=dict)
    """Measured importance of channels (`detector.training.start.judging`), by the names of its blocks as in
    `nars.parents.importance`; those that are absent are judged by the norms of their weights."""

    @cached_property
    def fingerprint(self) -> str:
        """Digest of its tensors, its classes and the pixels it takes; equal parents have equal ones."""
        return fingerprint(self.state, self.pixels.model_dump_json(), self.classes)


def block_names(prefix: str, stages: Sequence[Sequence[Block]]) -> Iterator[str]:
    """The names of all single blocks of a part, whose names start with `prefix`, in order."""
    for index, stage in enumerate(stages):
        for block in range(sum(row.repeats for row in stage)):
            yield f"{prefix}.{index}.{block}"


def sites_of(parts: Parts) -> list[Site]:
    """The single blocks of trunk and heads, by their names in a detector."""
    heads = {RPN: parts.rpn, BOX: parts.box, MASK: parts.mask or ()}
    groups = [(TRUNK, 3, parts.trunk), *((name, parts.channels, (rows,)) for name, rows in heads.items())]
    found = []
    for prefix, channels, stages in groups:
        rows = [row.single(repeat) for stage in stages for row in stage for repeat in range(row.repeats)]
        for name, row in zip(block_names(prefix, stages), rows, strict=True):
            found.append(Site(name, channels, row))
            channels = row.channels
    return found


def parent_called(name: str) -> DetectorParent | None:
    """The parent called `name`, None for ``none``.

    It is a classifier as `nars.parents.sources.parent` knows them, the file of a trained detector, a run
    folder of either, or the name of published weights of a detector. Raises `UsageError`, `WeightsError`,
    `RunError`.
    """
    path = Path(name)
    if path.is_dir():
        return parent_in(weights_of_run(path))
    if path.suffix.lower() in (".pt", ".safetensors"):
        return parent_in(path)
    if name.endswith(_COCO) and name in zoo.entries():
        return _published(name)
    origin = parent(name)
    return None if origin is None else _of_classifier(origin)


def parent_in(path: Path) -> DetectorParent:
    """The detector or the classifier in a file of ours. Raises `WeightsError`, `UsageError`."""
    content, source = read_tensors(path), str(path)
    if format_of(content) == DETECTOR.name:
        return _of_detector(SavedDetector.of(content, source))
    return _of_classifier(parent_of(Weights.of(content, source)))


def _of_detector(saved: SavedDetector) -> DetectorParent:
    return DetectorParent(
        parts=with_mask_head(saved.parts),
        state=saved.state,
        pixels=saved.settings.pixels,
        resolution=max(saved.settings.shortest),
        source=saved.source,
        classes=saved.classes,
        settings=saved.settings,
    )


def _of_classifier(origin: Parent) -> DetectorParent:
    """The detector that a classifier is cut into. Raises `UsageError` if there is none such."""
    architecture = origin.architecture
    try:
        parts = parts_of(architecture)
    except SpecError as error:
        raise UsageError(f"{origin.source} makes no detector: {error}") from None
    names = block_names("stages", architecture.spatial_stages())
    targets = [*block_names(TRUNK, parts.trunk), *block_names(BOX, [parts.box])]
    mean, std = (tuple(255 * value for value in values) for values in (origin.mean, origin.std))
    return DetectorParent(
        parts=parts,
        state=_renamed(origin.state, dict(zip(names, targets, strict=True))),
        pixels=Pixels.of({"order": "rgb", "mean": mean, "std": std}),
        resolution=architecture.resolution,
        source=origin.source,
    )


def _renamed(state: Mapping[str, Tensor], names: Mapping[str, str]) -> dict[str, Tensor]:
    """The tensors of the blocks in `names`, by their new names."""
    renamed = {}
    for name, tensor in state.items():
        block = ".".join(name.split(".")[:3])  # stages.STAGE.BLOCK
        if block in names:
            renamed[names[block] + name.removeprefix(block)] = tensor
    return renamed


def _published(name: str) -> DetectorParent:
    """A published detector with its weights, which are downloaded at their first use."""
    title = name.removesuffix(_COCO)
    masks = title.endswith("_mask")
    title = title.removesuffix("_mask")
    try:
        parts, settings = published(title), published_settings(title).replace(mask=masks)
    except UsageError:
        raise UsageError(f"--init {name}: its detector is not known") from None
    model = Detector(parts, _COCO_CLASSES, settings)
    report = load_checkpoint(model, read_checkpoint(name))
    if report.fresh:
        raise WeightsError(f"{name}: {next(iter(report.fresh))}: {next(iter(report.fresh.values()))}")
    return DetectorParent(
        parts=with_mask_head(parts),
        state=model.state_dict(),
        pixels=settings.pixels,
        resolution=max(settings.shortest),
        source=name,
        classes=tuple(f"coco {number}" for number in range(_COCO_CLASSES)),
        settings=settings,
    )
