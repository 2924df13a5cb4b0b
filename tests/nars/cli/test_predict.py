"""``nars predict``: its output, its exit codes, and weights that are for another command."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
import toys
from PIL import Image

from detector.weights.saved import save_detector
from nars.cli import main
from nars.networks.build import build
from nars.networks.weights import save_weights
from nars.spec import Architecture, Block, Candidate

CANDIDATE = Candidate(
    architecture=Architecture(resolution=16, stages=[[Block(op="conv", channels=8, kernel=3, stride=2)]])
)


@pytest.fixture(autouse=True)
def _folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The working folder, with weights as both kinds of file, pictures, and a file that is none."""
    monkeypatch.chdir(tmp_path)
    third = torch.ones(3) / 3
    for name in ("cats.pt", "cats.safetensors"):
        torch.manual_seed(0)
        model = build(CANDIDATE.architecture, 2)
        save_weights(name, model, CANDIDATE, {}, classes=("cat", "[dog]"), mean=third, std=third)
    save_detector("boxes.pt", toys.model(), toys.CLASSES)
    rng = np.random.default_rng(0)
    for name in ("a.png", "deep/b.jpg"):
        file = Path("photos") / name
        file.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(rng.integers(0, 256, (30, 40, 3), dtype=np.uint8)).save(file)


def test_classes_are_printed_and_written(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["predict", "cats.pt", "photos"]) == 0
    shown = capsys.readouterr().out
    for word in ("photos/a.png", "photos/deep/b.jpg", "cat", "[dog]"):
        assert word in shown

    assert main(["predict", "cats.safetensors", "photos", "--json", "-o", "found.json"]) == 0
    captured = capsys.readouterr()
    found = json.loads(captured.out)
    assert captured.err == ""
    assert found == json.loads(Path("found.json").read_text())
    assert [row["file"] for row in found["pictures"]] == ["photos/a.png", "photos/deep/b.jpg"]
    assert found["unreadable"] == []
    for row in found["pictures"]:
        probabilities = [each["probability"] for each in row["classes"]]
        assert sum(probabilities) == pytest.approx(1, abs=1e-4)
        assert probabilities == sorted(probabilities, reverse=True)

    assert main(["predict", "cats.pt", "photos", "-o", "drawn", "--top", "1"]) == 0
    assert sorted(path.name for path in Path("drawn").iterdir()) == [
        "00001-a.png",
        "00002-b.png",
        "results.json",
    ]
    assert len(json.loads(Path("drawn/results.json").read_text())["pictures"][0]["classes"]) == 1
    assert main(["predict", "cats.pt", "photos", "-o", "sheet.png"]) == 0
    assert Path("sheet.png").exists()


def test_what_cannot_be_read_is_passed_over(capsys: pytest.CaptureFixture[str]) -> None:
    Path("photos/broken.jpg").write_bytes(b"no picture")
    assert main(["predict", "cats.pt", "photos", "--json"]) == 1
    captured = capsys.readouterr()
    found = json.loads(captured.out)
    assert captured.err == "passed over: cannot read image photos/broken.jpg: not an image\n"
    assert len(found["pictures"]) == 2
    assert found["unreadable"] == ["cannot read image photos/broken.jpg: not an image"]
    assert main(["predict", "cats.pt", "photos/broken.jpg"]) == 2
    assert "none of 1 picture can be read" in capsys.readouterr().err


def test_a_folder_of_heic_alone_is_answered_with_the_way_out(capsys: pytest.CaptureFixture[str]) -> None:
    Path("phone").mkdir()
    Path("phone/IMG_1.HEIC").touch()
    assert main(["predict", "cats.pt", "phone"]) == 2
    message = "phone: no picture in this folder; .heic pictures are not read: convert them to JPEG"
    assert capsys.readouterr().err.strip().endswith(message)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("predict boxes.pt photos", "boxes.pt holds a detector: use `nars detect predict`"),
        ("detect predict cats.pt photos", "cats.pt holds a classifier: use `nars predict`"),
        ("detect predict cats.safetensors photos", "cats.safetensors holds a classifier: use `nars predict`"),
        ("predict missing.pt photos", "File 'missing.pt' does not exist"),
        ("predict photos/a.png photos", "photos/a.png: no file of weights (it starts like a PNG picture)"),
        ("predict photos photos", "photos is a folder: give a .pt or .safetensors file"),
        ("predict run photos", "run is a folder: did you mean run/weights/best.pt?"),
        ("evaluate run", "run is a folder: did you mean run/weights/best.pt?"),
        ("export run -o cats.onnx", "run is a folder: did you mean run/weights/best.pt?"),
        ("detect predict run photos", "run is a folder: did you mean run/weights/best.pt?"),
        ("detect evaluate run", "run is a folder: did you mean run/weights/best.pt?"),
        ("detect export run -o boxes.onnx", "run is a folder: did you mean run/weights/best.pt?"),
        ("predict cats.pt missing.jpg", "missing.jpg: no such file, folder or pattern"),
        ("predict cats.pt", "Missing argument 'INPUTS...'"),
        ("predict cats.pt photos -o found.jsn", "-o found.jsn: did you mean '.json'?"),
        ("predict cats.pt photos -o cats.pt", "-o cats.pt is a file: a file ends in .json or .png"),
        ("predict cats.pt photos --top 0", "'--top'"),
    ],
)
def test_a_mistake_is_one_line_and_exit_2(
    arguments: str, message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    Path("run/weights").mkdir(parents=True)
    Path("run/weights/best.pt").touch()
    assert main(arguments.split()) == 2
    captured = capsys.readouterr()
    assert message in captured.err
    assert len(captured.err.strip().splitlines()) == 1
    assert not captured.out
