"""The settings of ``nars detect train``: options come first, then the recipe of a file, then a default."""

from __future__ import annotations

from pathlib import Path

import toys

from detector.cli.source import training_of
from detector.space.candidate import DetectorCandidate
from detector.space.reference import FINE_TUNING, fine_tuning
from detector.training.hyperparameters import LR


def test_another_optimizer_has_its_own_rate() -> None:
    """The rate of a fine-tuning is for SGD."""
    cases = (
        ({}, FINE_TUNING.lr),
        ({"optimizer": "sgd"}, FINE_TUNING.lr),
        ({"optimizer": "adamw"}, None),
        ({"optimizer": "adamw", "lr": 0.002}, 0.002),
    )
    for options, rate in cases:
        training, _ = training_of(None, None, "boxes", dict(options), default=fine_tuning(100))
        assert training.lr == rate, options
    training, _ = training_of(None, None, "boxes", {"optimizer": "adamw"}, default=fine_tuning(100))
    assert training.recipe(16).lr == LR["adamw"]


def test_the_recipe_of_a_searched_detector_trains_another_one(tmp_path: Path) -> None:
    file = tmp_path / "best.yaml"
    candidate = DetectorCandidate(architecture=toys.PARTS, settings=toys.SETTINGS, recipe=toys.TRAINING)
    file.write_text(candidate.to_yaml())
    training, unused = training_of(str(file), None, "boxes", {"epochs": 7})
    assert (training, unused) == (toys.TRAINING.replace(epochs=7), ())
