"""The detectors of the rows, planned for a data set, and what they inherit from."""

from __future__ import annotations

from pathlib import Path

from detector.model.catalogue import published, published_settings
from detector.model.parts import by_stages
from detector.model.resizing import longest
from detector.model.settings import Settings
from detector.space.candidate import DetectorCandidate
from detector.space.decoding import anchors
from detector.space.reference import BOX_SAMPLES, FINE_TUNING
from detector.training.hyperparameters import Training
from detector.weights.parents import DetectorParent, parent_called, parent_in
from experiments.detector_table.accuracy import cut
from experiments.detector_table.rows import PARENT, RESULTS, Row
from nars.spec import Candidate

__all__ = [
    "SCRATCH",
    "candidate_of",
    "first_file",
    "lite0",
    "parent_of",
    "search_folder",
    "weights_file",
    "winner_file",
]

SCRATCH = Training(photometric=0.5, jitter=(0.8, 1.2))
"""The recipe of detectors that start from random weights: that of the first table, batches of four."""


def lite0() -> DetectorParent:
    """EfficientNet-Lite0 with its ImageNet weights."""
    parent = parent_called("efficientnet_lite0")
    assert parent is not None
    return parent


def search_folder(work: Path, name: str, row: str) -> Path:
    """The run folder of a row's search on the data set `name`."""
    return work / "searches" / f"{name}-{row}"


def winner_file(name: str, row: str) -> Path:
    """The candidate that a row's search on the data set `name` found."""
    return RESULTS / f"{name}-{row}.yaml"


def first_file(name: str, row: str) -> Path:
    """The candidate that a row's search on the data set `name` trained first."""
    return RESULTS / f"{name}-{row}-first.yaml"


def weights_file(work: Path, name: str, row: str, seed: int, *, half: bool = False) -> Path:
    """The detector that a row's training wrote, or its training for half of the passes."""
    return work / "weights" / f"{name}-{row}-{seed}{'-half' if half else ''}.pt"


def candidate_of(row: Row, name: str, passes: int, classes: int) -> DetectorCandidate:
    """The detector of a row for so many classes, with the recipe of its final training.

    Raises `SpecError` before its search.
    """
    if row.trials_of is not None:
        classifier = Candidate.load(winner_file(name, row.name))
        assert row.max_macs is not None
        found = cut(classifier, classes, row.max_macs)
        return found.replace(recipe=_measured_once(found.recipe, passes))
    if row.first_of is not None:
        found = DetectorCandidate.load(first_file(name, row.first_of))
        return found.replace(recipe=_measured_once(found.recipe, passes))
    if row.search is not None:
        found = DetectorCandidate.load(winner_file(name, row.search))
        recipe = found.recipe if row.max_macs else SCRATCH
        settings = found.settings if row.max_macs else found.settings.replace(freeze=0)
        return found.replace(recipe=_measured_once(recipe, passes), settings=settings)
    if row.name == "c":
        parts, settings = published("fbnetv3a_dsmask_c4"), published_settings("fbnetv3a_dsmask_c4")
        return DetectorCandidate(
            architecture=parts, settings=settings, recipe=_measured_once(SCRATCH, passes)
        )
    parts = by_stages(lite0().parts)
    side = {"shortest": (row.shortest,), "longest": longest(row.shortest)}
    settings = Settings(**anchors(1, 5, 3), **side, test_proposals=row.proposals, box_samples=BOX_SAMPLES)
    return DetectorCandidate(
        architecture=parts, settings=settings, recipe=_measured_once(FINE_TUNING, passes)
    )


def parent_of(row: Row, name: str, work: Path, seed: int) -> DetectorParent | None:
    """The weights that a row starts from; None for random ones."""
    if row.inherits:
        return parent_in(weights_file(work, name, PARENT, seed, half=True))
    return lite0() if row.name == PARENT else None


def _measured_once(recipe: Training, passes: int) -> Training:
    return recipe.replace(epochs=passes, evaluate_every=passes)
