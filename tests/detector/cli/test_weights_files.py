"""Files of weights as ``.safetensors``, everywhere that a command takes one."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
import safetensors
import torch
import toys

from detector.data.coco import write
from detector.weights.saved import load_detector, save_detector
from nars.cli import main
from nars.networks.weights import load_weights
from nars.spec import Architecture, Candidate, Recipe

CANDIDATE = Candidate(
    architecture=Architecture(name="toy", resolution=16, stages=(*toys.PARTS.trunk, toys.PARTS.box)),
    recipe=Recipe(epochs=1, batch_size=256),
)


@pytest.fixture(autouse=True)
def _folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("toy.yaml").write_text(CANDIDATE.to_yaml())
    write(toys.squares(train=4, val=2), tmp_path / "squares")


def numbers(command: str, capsys: pytest.CaptureFixture[str]) -> Any:
    capsys.readouterr()
    assert main([*command.split(), "--json"]) == 0
    return json.loads(capsys.readouterr().out)


def test_a_classifier_is_trained_measured_exported_and_detects(capsys: pytest.CaptureFixture[str]) -> None:
    pt, other = "w.pt", "w.safetensors"
    trained = [numbers(f"train toy.yaml --data digits -o {name}", capsys) for name in (pt, other)]
    assert trained[0]["test_accuracy"] == trained[1]["test_accuracy"]
    assert torch.load(pt, weights_only=True)["format"] == "nars.weights"
    with safetensors.safe_open(other, "pt") as file:
        assert Candidate.from_yaml(file.metadata()["candidate"]) == CANDIDATE.replace(data="digits")
    one, two = load_weights(pt), load_weights(other)
    assert (one.mean, one.std, one.classes, one.metrics) == (two.mean, two.std, two.classes, two.metrics)
    assert all(torch.equal(tensor, two.state[name]) for name, tensor in one.state.items())
    measured = [numbers(f"evaluate {name} --data digits", capsys) for name in (pt, other)]
    assert measured[0] == measured[1]
    exported = numbers(f"export best-arch --format pt2 --weights {other} -o w.pt2", capsys)
    assert exported["num_classes"] == 10
    found = "detect train toy.yaml --data squares --epochs 1 --shortest 48 --longest 64 --pooler-resolution 4"
    aps = [numbers(f"{found} --weights {name} -o from_{name}", capsys)["ap"] for name in (pt, other)]
    assert aps[0] == aps[1]
    assert main(f"{found} --init {pt} -o inherited".split()) == 0
    said = re.search(r"inherited (.+)% of the parameters from w\.pt; fresh: (.+)", capsys.readouterr().err)
    assert said is not None
    assert 30 < float(said[1]) < 90
    assert said[2] == "RPN, box predictor"


def test_a_detector_is_measured_run_exported_and_trained(capsys: pytest.CaptureFixture[str]) -> None:
    for name in ("d.pt", "d.safetensors"):
        save_detector(name, toys.model(), toys.CLASSES, {"ap": 0.25})
    assert load_detector("d.safetensors").metrics == {"ap": 0.25}
    picture = next(Path("squares").rglob("*.png"))
    for command in ("evaluate {} --data squares", f"predict {{}} {picture}"):
        found = [numbers(f"detect {command.format(name)}", capsys) for name in ("d.pt", "d.safetensors")]
        assert found[0] == found[1]
    export = numbers("detect export d.safetensors -o d.ts --data squares", capsys)
    assert export["format"] == "torchscript"
    assert export["deviation"] < 1e-3
    command = "detect train d.safetensors --data squares --epochs 1 --lr 1e-12 --no-ema -o out"
    assert main(command.split()) == 0
    assert "loaded: box predictor" in capsys.readouterr().err
    trained = "detect evaluate out/weights/best.pt"  # which records its data
    assert numbers(trained, capsys) == numbers(f"{trained} --data squares", capsys)


def test_another_file_of_ours_is_refused_in_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    save_detector("d.safetensors", toys.model(), toys.CLASSES)
    assert main(["evaluate", "d.safetensors", "--data", "digits"]) == 2
    message = "d.safetensors: holds a detector, which is for the commands of `nars detect`"
    assert capsys.readouterr().err.strip().endswith(message)
