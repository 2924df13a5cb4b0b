"""A detector that a file states to be larger than any is refused before any of it is built."""

from __future__ import annotations

from typing import Any

import pytest
from small_detector import QUICK, SMALL

from detector.model import detector
from detector.model.detector import Detector
from detector.model.parts import Parts
from detector.model.settings import Pixels, Settings
from detector.space.candidate import DetectorCandidate
from detector.training.hyperparameters import Training
from nars.errors import SpecError
from nars.spec import Block

WIDE = Block(op="conv", channels=16_000, kernel=3)
UP = Block(op="mbconv", channels=64, kernel=3, expansion=1, stride=-2)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("shortest", (2**13 + 1,)),
        ("longest", 10**9),
        ("longest", 10**400),
        ("anchor_sizes", ((1e6,),)),
        ("anchor_sizes", ((8.0,) * 257,)),
        ("anchor_sizes", ((8.0,) * 100,)),
        ("anchor_ratios", (float("inf"),)),
        ("rpn_samples", 10**6),
        ("test_proposals", 10**6),
        ("detections", 10**6),
        ("pooler_resolution", 65),
        ("mask_pooler_resolution", 10**9),
        ("smooth_l1", 1e9),
        ("freeze", 10**9),
    ],
)
def test_a_setting_has_a_range(name: str, value: object) -> None:
    with pytest.raises(SpecError) as raised:
        Settings.of({name: value})
    assert "\n" not in str(raised.value)
    assert len(str(raised.value)) < 300


def test_pixels_have_a_range() -> None:
    with pytest.raises(SpecError, match="mean"):
        Pixels.of({"mean": (1e9, 0, 0)})


@pytest.mark.parametrize(
    "name", ["epochs", "lr", "batch_size", "weight_decay", "clip_norm", "patience", "jitter"]
)
@pytest.mark.parametrize("value", [-1, 10**400, float("nan"), float("inf"), "x\0", [1]])
def test_a_number_of_a_training_has_a_range(name: str, value: object) -> None:
    with pytest.raises(SpecError, match=name):
        Training.of({name: value})


@pytest.mark.parametrize(
    "changes",
    [
        {"trunk": [[WIDE, WIDE.model_copy(update={"repeats": 100})]]},
        {"rpn": [Block(op="conv", channels=16, kernel=3, repeats=2000)] * 2},
        {"box": [WIDE.model_copy(update={"repeats": 100})]},
        {"mask": [WIDE.model_copy(update={"repeats": 100})]},
        {"fpn": 10**9},
    ],
)
def test_parts_beyond_the_limits_are_none(changes: dict[str, Any]) -> None:
    with pytest.raises(SpecError):
        Parts.of(SMALL.model_dump() | changes)


@pytest.mark.parametrize(
    ("parts", "classes", "settings"),
    [
        ({}, 2**20 + 1, {}),
        ({"box": [WIDE]}, 10**5, {}),
        ({"trunk": [[Block(op="conv", channels=64, kernel=3)]]}, 3, {"longest": 8000}),
        ({"mask": [UP] * 6}, 3, {"mask_pooler_resolution": 64}),
    ],
)
def test_a_detector_beyond_the_limits_takes_no_memory(
    monkeypatch: pytest.MonkeyPatch, parts: dict[str, Any], classes: int, settings: dict[str, Any]
) -> None:
    def build(*_: object) -> None:
        raise AssertionError("something was built")

    monkeypatch.setattr(detector, "Backbone", build)
    with pytest.raises(SpecError) as raised:
        Detector(Parts.of(SMALL.model_dump() | parts), classes, QUICK.replace(**settings))
    assert "\n" not in str(raised.value)


def test_a_candidate_whose_images_are_too_large_for_it_is_none() -> None:
    trunk = [[Block(op="conv", channels=64, kernel=3)]]
    parts = SMALL.model_dump() | {"trunk": trunk, "mask": None}
    DetectorCandidate(architecture=parts, settings={"longest": 1000})
    with pytest.raises(SpecError, match="values in a map"):
        DetectorCandidate(architecture=parts, settings={"longest": 8000})
