"""``nars profile`` of detectors."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import toys

from detector.space.candidate import DetectorCandidate
from detector.weights.saved import save_detector
from nars.cli import main


def test_a_published_detector_is_counted_part_by_part(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["profile", "fbnetv3a_dsmask_c4", "--json"]) == 0
    costs = json.loads(capsys.readouterr().out)
    assert costs["macs"] == costs["trunk"] + costs["rpn"] + costs["box"] + costs["mask"]
    assert (costs["side"], costs["longer"]) == (224, 320)
    assert "inherited" not in costs


def test_a_detector_inherits_all_but_predictors_of_classes(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    candidate, parent = tmp_path / "toy.yaml", tmp_path / "parent.pt"
    candidate.write_text(DetectorCandidate(architecture=toys.PARTS, settings=toys.SETTINGS).to_yaml())
    model = toys.model()
    save_detector(parent, model, toys.CLASSES)
    predictors = sum(each.numel() for each in model.roi_heads.box_predictor.parameters())
    share = 1 - predictors / sum(each.numel() for each in model.parameters())
    arguments = ["profile", str(candidate), "--classes", str(len(toys.CLASSES)), "--init", str(parent)]
    assert main([*arguments, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["inherited"] == pytest.approx(share)
    assert main(arguments) == 0
    shown = capsys.readouterr().out
    assert f"inherits {share:.1%} of its parameters from {parent}" in shown
    assert f"counted for {len(toys.CLASSES)} classes\n" in shown


def test_a_searched_detector_is_counted_for_the_classes_of_its_search(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    candidate, file = DetectorCandidate(architecture=toys.PARTS, settings=toys.SETTINGS), tmp_path / "t.yaml"
    costs = []
    for document in (candidate, candidate.on("boxes", 1)):
        file.write_text(document.to_yaml())
        assert main(["profile", str(file), "--json"]) == 0
        costs.append(json.loads(capsys.readouterr().out))
    assert [cost["classes"] for cost in costs] == [80, 1]
    assert costs[1]["params"] < costs[0]["params"]
    assert main(["profile", str(file)]) == 0
    assert "counted for 1 class, as its search\n" in capsys.readouterr().out
