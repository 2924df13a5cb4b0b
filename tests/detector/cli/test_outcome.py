"""What a training prints at its end is what its best weights score, and says so."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch
import toys

from detector.cli.display import show_scores
from detector.cli.outcome import Outcome
from detector.evaluation.interval import ap_interval
from detector.evaluation.loop import evaluate
from detector.training.loop import TrainedDetector
from detector.training.progress import Epoch
from detector.weights.saved import save_detector

CPU = torch.device("cpu")


def test_the_best_weights_are_measured(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data = toys.squares(train=1, val=3)
    best, last = (toys.model(seed, score_threshold=0.0).eval() for seed in (0, 1))
    expected, other = (evaluate(model, data, device=CPU) for model in (best, last))
    assert expected.results != other.results
    aps = (0.25, 0.125)
    history = tuple(Epoch(k, 2, 0.1, {"loss": 1.0}, {}, {"ap": ap}, 1.0) for k, ap in enumerate(aps, 1))
    trained = TrainedDetector(last, other, history)
    file = tmp_path / "weights" / "best.pt"
    save_detector(file, best, toys.CLASSES)

    outcome = Outcome.of(trained, data, toys.TRAINING, CPU, tmp_path)
    assert (outcome.epoch, outcome.evaluation.results) == (1, expected.results)
    outcome.show(["a remark"])
    first, *_, interval, remark, end = capsys.readouterr().out.splitlines()
    assert first == "val after epoch 1 of 2:"
    assert interval.startswith("other images of this kind give an AP of ")
    assert (remark, end) == ("a remark", f"best epoch 1: AP 0.2500: written to {file}")
    outcome.show_json(parts=[])
    numbers = json.loads(capsys.readouterr().out)
    assert (numbers["epoch"], numbers["best_epoch"], numbers["parts"]) == (1, 1, [])
    assert tuple(numbers["ap_interval"]) == ap_interval(data, expected)

    file.unlink()
    outcome = Outcome.of(trained, data, toys.TRAINING, CPU, tmp_path)
    assert (outcome.epoch, outcome.evaluation.results) == (2, other.results)
    outcome.show([])
    said = f"its weights are gone, those of epoch 2 are in {tmp_path / 'weights' / 'last.pt'}"
    assert capsys.readouterr().out.splitlines()[-1] == f"best epoch 1: AP 0.2500: {said}"
    outcome.show_json()
    assert json.loads(capsys.readouterr().out)["weights"] == str(tmp_path / "weights" / "last.pt")


def test_without_an_ap_by_size_there_is_no_list_of_them(capsys: pytest.CaptureFixture[str]) -> None:
    found = evaluate(toys.model().eval(), toys.squares(train=1, val=1), device=CPU)
    unmeasured = replace(found.boxes, ap_small=None, ap_medium=None, ap_large=None)
    show_scores(replace(found, boxes=unmeasured))
    assert capsys.readouterr().out.splitlines()[-1].endswith("AP75 0.0000")
