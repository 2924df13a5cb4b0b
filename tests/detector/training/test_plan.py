"""From a file to a detector: one way, and each file is read once."""

from __future__ import annotations

import logging
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import toys

import detector
from detector.data.records import Annotation, Category, CocoData, ImageRecord, Subset
from detector.model.settings import Pixels, Settings
from detector.space.candidate import DetectorCandidate
from detector.space.planned import planned_for
from detector.training.plan import fitted_anchors, plan, shorter_side
from detector.weights.checkpoints import checkpoint_of
from detector.weights.saved import SavedDetector, load_detector, save_detector

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def data() -> CocoData:
    return toys.squares(train=4, val=2)


def test_a_saved_detector_is_read_once(data: CocoData, tmp_path: Path) -> None:
    model, path = toys.model(), tmp_path / "toy.pt"
    save_detector(path, model, toys.CLASSES)
    saved = load_detector(path)
    path.unlink()
    built = plan(saved, data, CPU).build(3, 0)
    assert built.settings == model.settings
    for name, tensor in model.state_dict().items():
        assert torch.equal(built.state_dict()[name], tensor), name


@pytest.mark.parametrize("source", ["candidate", "saved", "published"])
def test_a_detector_sees_pixels_as_the_one_whose_weights_it_starts_from(
    data: CocoData, tmp_path: Path, source: str
) -> None:
    """A search's detectors may inherit from a classifier, whose pixels a candidate's file does not say."""
    pixels = Pixels(order="rgb", mean=(1, 2, 3), std=(4, 5, 6))
    save_detector(tmp_path / "other.pt", toys.model(), toys.CLASSES)
    save_detector(tmp_path / "best.pt", toys.model(pixels=pixels), toys.CLASSES)
    of: dict[str, DetectorCandidate | SavedDetector | str] = {
        "candidate": DetectorCandidate(architecture=toys.PARTS, settings=toys.SETTINGS),
        "saved": load_detector(tmp_path / "other.pt"),
        "published": "fbnetv3a_c4",
    }
    weights = str(tmp_path / "best.pt")
    assert planned_for(of[source], data, CPU, weights=weights).settings.pixels == pixels
    given = planned_for(of[source], data, CPU, weights=weights, settings={"pixels": Pixels()})
    assert given.settings.pixels == Pixels()


def test_a_detector_is_built_with_the_pixels_of_its_weights(tmp_path: Path) -> None:
    pixels, parts = Pixels(order="rgb"), toys.PARTS.replace(mask=None)
    anchors = {"anchor_sizes": ((32, 64, 96, 128, 160),), "anchor_ratios": (0.5, 1.0, 2.0)}
    save_detector(tmp_path / "best.pt", toys.model(pixels=pixels, **anchors), toys.CLASSES)
    assert detector.build(parts, 3, tmp_path / "best.pt").settings.pixels == pixels


def test_a_detector_is_built_with_the_settings_of_its_weights(tmp_path: Path) -> None:
    """Anchors and sizes are not seen in the tensors; the name of an architecture does not matter."""
    model = toys.model(shortest=(40,), longest=60, anchor_sizes=((9.0, 17.0),))
    save_detector(tmp_path / "best.pt", model, toys.CLASSES)
    built = detector.build(toys.PARTS.replace(name="mine"), 3, tmp_path / "best.pt")
    assert built.settings == model.settings
    image = [torch.rand(3, 48, 60)]
    with torch.no_grad():
        (mine,), (expected,) = built.eval()(image), model.eval()(image)
    assert torch.equal(mine["boxes"], expected["boxes"])


@pytest.mark.parametrize("source", ["candidate", "saved", "published"])
def test_the_longer_side_follows_the_shorter_one(data: CocoData, tmp_path: Path, source: str) -> None:
    """A shorter side of 288 that a remark asked for became 240, since the longer one stayed at 320."""
    settings = Settings(shortest=(128,), longest=192)
    save_detector(tmp_path / "best.pt", toys.model(shortest=(128,), longest=192), toys.CLASSES)
    sources: dict[str, tuple[Any, int]] = {
        "candidate": (DetectorCandidate(architecture=toys.PARTS, settings=settings), 288),
        "saved": (load_detector(tmp_path / "best.pt"), 288),
        "published": ("fbnetv3a_c4", 274),
    }
    given, expected = sources[source]
    planned = planned_for(given, data, CPU, settings={"shortest": (192,)}).settings
    assert (planned.shortest, planned.longest) == ((192,), expected)
    both = planned_for(given, data, CPU, settings={"shortest": (192,), "longest": 200}).settings
    assert both.longest == 200


def test_random_weights_are_not_frozen(data: CocoData, tmp_path: Path) -> None:
    settings = toys.SETTINGS.replace(freeze=1)
    candidate = DetectorCandidate(architecture=toys.PARTS, settings=settings)
    assert planned_for(candidate, data, CPU).settings.freeze == 0
    assert planned_for(candidate, data, CPU, settings={"freeze": 1}).settings.freeze == 1
    save_detector(tmp_path / "best.pt", toys.model(), toys.CLASSES)
    assert planned_for(candidate, data, CPU, weights=str(tmp_path / "best.pt")).settings.freeze == 1


def _of_one_size(wide: int = 640, high: int = 480) -> CocoData:
    """Boxes of 32 pixels, as the difference of borders in fractions of the image: equal but for rounding."""
    place, rng = Path("x"), np.random.default_rng(0)
    images = tuple(ImageRecord(number, f"{number}.png", wide, high) for number in range(20))
    boxes = []
    for image in images:
        left, top = (int(rng.integers(0, side - 32)) / side for side in image[2:])
        width, height = (
            (edge + 32 / side - edge) * side for edge, side in zip((left, top), image[2:], strict=True)
        )
        boxes.append(Annotation(image.id + 1, image.id, 1, (left * wide, top * high, width, height), 1024.0))
    part = Subset("train", place, place, images, tuple(boxes), (Category(1, "a"),))
    return CocoData(part, replace(part, name="val"))


def test_boxes_that_differ_by_rounding_are_as_many_sizes_as_their_anchors() -> None:
    data, settings = _of_one_size(), Settings()
    assert len({box.box[2] * box.box[3] for box in data.train.annotations}) > 5
    fitted = settings.replace(**fitted_anchors(data, settings))
    assert set(fitted.anchor_sizes[0]) == {14.9}  # 32 pixels of 480, at 224


@pytest.mark.parametrize(("wide", "high"), [(448, 448), (640, 64), (64, 640)])
def test_the_bound_on_the_longer_side_does_not_shrink_what_an_architecture_sees(wide: int, high: int) -> None:
    """32 pixels would become 5 of 640 x 64, were it for the shorter side alone."""
    assert shorter_side(16, _of_one_size(wide, high)) == 224  # and so the longer one at most 320


def test_the_size_of_a_crowd_does_not_count() -> None:
    """Objects of 32 pixels in images of 448 are to be 14 pixels: 196 for the images, in steps of 16."""
    data = _of_one_size(448, 448)
    crowds = [
        each._replace(id=100 + 2 * each.id + more, box=(0.0, 0.0, 440.0, 440.0), crowd=True)
        for each in data.train.annotations
        for more in range(2)
    ]
    train = replace(data.train, annotations=(*data.train.annotations, *crowds))
    assert shorter_side(14, replace(data, train=train)) == shorter_side(14, data) == 192


def test_more_maps_than_sizes_of_boxes_keep_their_anchors(caplog: pytest.LogCaptureFixture) -> None:
    data = _of_one_size()
    settings = Settings(anchor_sizes=((8,), (16,), (32,), (64,)))
    few = replace(data, train=data.train.only(data.train.images[:1]))
    assert fitted_anchors(few, settings) == {}
    assert "boxes of 1 size are too few to fit anchors on 4 maps" in caplog.text
    none = replace(data, train=replace(data.train, annotations=()))
    assert fitted_anchors(none, Settings()) == {}


def test_a_plan_builds_as_detector_build_does(
    data: CocoData, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    model, path = toys.model(), tmp_path / "toy.safetensors"
    save_detector(path, model, toys.CLASSES)
    planned = plan(load_detector(path), data, CPU)
    with caplog.at_level(logging.INFO, "detector"):
        one = planned.build(5, seed=3)
        torch.manual_seed(3)
        checkpoint = checkpoint_of(load_detector(path))
        other = detector.build(model.parts, 5, weights=checkpoint, settings=planned.settings)
    first, second = (record.message for record in caplog.records)
    assert first == second
    assert "another number of classes" in first
    for name, tensor in other.state_dict().items():
        assert torch.equal(one.state_dict()[name], tensor), name
