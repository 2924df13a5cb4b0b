"""``nars detect`` and ``nars data check``: the words, the mistakes, and the main job end to end."""

from __future__ import annotations

import json
from pathlib import Path

import folders
import pytest
import torch
import toys

from detector.cli import train
from detector.data.coco import write
from detector.space.candidate import DetectorCandidate
from detector.weights.saved import load_detector, save_detector
from nars.cli import main
from nars.spec import Architecture, Candidate, Recipe

CANDIDATE = Candidate(
    architecture=Architecture(name="toy", resolution=16, stages=(*toys.PARTS.trunk, toys.PARTS.box)),
    recipe=Recipe(epochs=2, lr=0.1, mixup=0.1),
)
SMALL = ["--shortest", "48", "--longest", "64", "--pooler-resolution", "4", "--test-proposals", "12"]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working folder, with a data set, a candidate and a detector in it."""
    monkeypatch.chdir(tmp_path)
    write(toys.squares(train=8, val=4), tmp_path / "squares")
    (tmp_path / "toy.yaml").write_text(CANDIDATE.to_yaml())
    save_detector(tmp_path / "toy.pt", toys.model(), toys.CLASSES)
    return tmp_path


def test_every_setting_is_an_option(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["detect", "train", "--help"]) == 0
    shown = capsys.readouterr().out
    names = {*type(toys.SETTINGS).model_fields, *type(toys.TRAINING).model_fields}
    for name in names - {"pixels", "resize_in_training"}:
        assert f"--{name.replace('_', '-')} " in shown, name
    in_groups = {name for names in train.GROUPS.values() for name in names}
    assert in_groups == {option.name for option in train.train_command.params} - {"arch"}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("trian", "no command 'trian': did you mean 'train'?"),
        ("train fbnetv3a_c44", "did you mean 'fbnetv3a_c4'?"),
        ("train fbnetv3a_c4", "fbnetv3a_c4 does not say which data it is for: name them with --data"),
        ("train toy.yaml", "toy.yaml does not say which data it is for: name them with --data"),
        ("train toy.pt", "toy.pt does not say which data it is for: name them with --data"),
        ("train searched.yaml", "digits: no such folder (give a folder, or digit-scenes); searched.yaml"),
        ("train toy.yaml --data nowhere", "nowhere: no such folder (give a folder, or digit-scenes)"),
        (
            "train toy.yaml --data squares --rpn-background-iou 0.8",
            "rpn_background_iou must not be above rpn_object_iou, got 0.8 and 0.7",
        ),
        ("train toy.yaml --data squares --pooler-resolution 1", "pooler_resolution must be at least 2"),
        ("train toy.yaml --data squares --freeze 3", "freeze must be at most the 2 stages of toy, got 3"),
        ("train toy.yaml --data squares --anchor-sizes 8,big", "'8,big' is not a list of numbers"),
        (
            "train toy.yaml --data squares --anchor-sizes 8,16 --anchors auto",
            "--anchors auto fits sizes and ratios to the boxes: leave out --anchor-sizes",
        ),
        ("train toy.yaml --data squares --norm batch", "'batch' is not one of 'bn', 'gn'"),
        ("train toy.yaml --data squares --norm gnn", "no norm 'gnn': did you mean 'gn'?"),
        ("train toy.yaml --data squares --epochs many", "'many' is not a valid integer"),
        (
            "train toy.yaml --data squares --epochs 0",
            "'--epochs': Input should be greater than or equal to 1",
        ),
        ("train toy.yaml --data squares --jitter 1,[", "'1,[' is not a list of numbers"),
        ("train toy.yaml --data squares --weights missing.pt", "missing.pt"),
        ("train toy.yaml --data squares --init lite", "no parent is called 'lite'"),
        ("train toy.yaml --data squares --init efficientnet_lite0", "efficientnet_lite0 has"),
        ("train toy.yaml --data squares --init none --weights missing.pt", "missing.pt"),
        ("train toy.yaml --data squares --init x.pt --weights x.pt", "give one of the two"),
        ("train toy.pt --data squares --init efficientnet_lite0", "has 2 stages, its parent the trunk of"),
        ("evaluate missing.pt", "missing.pt"),
        ("export toy.pt -o toy.xyz", "-o toy.xyz: a file ends in .onnx or .pt2 or"),
        ("export toy.pt -o toy.pt2 --format onnx", "-o toy.pt2: a file of --format onnx ends in .onnx"),
        ("evaluate toy.pt", "toy.pt does not say which data it is for: name them with --data"),
        ("evaluate toy.pt --data digit-scenes", "toy.pt finds 3 classes (red, green, blue), the data has 10"),
        ("evaluate evil.pt --data squares", "refused, since opening it could run code"),
    ],
)
def test_a_mistake_is_one_line_and_exit_2(
    arguments: str, message: str, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    torch.save(Evil(), folder / "evil.pt")
    Path("searched.yaml").write_text(CANDIDATE.replace(data="digits").to_yaml())
    assert main(["detect", *arguments.split()]) == 2
    captured = capsys.readouterr()
    assert message in captured.err
    *parts, mistake = captured.err.strip().splitlines()
    assert mistake.startswith("nars: ")
    about_data = ("train: ", "val: ", "squares/val/annotations.json (id 3): category 'blue' has no boxes")
    assert all(line.startswith(about_data) for line in parts)
    assert not (folder / "run").exists()


class Evil:
    """A pickle that leaves a file behind when it is opened carelessly."""

    def __reduce__(self) -> tuple[object, tuple[str, str]]:
        return open, ("run", "w")


def test_train_evaluate(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Path("toy.yaml").write_text(CANDIDATE.replace(data="squares").to_yaml())
    command = ["detect", "train", "toy.yaml", "-o", "out", *SMALL]
    assert main(command) == 0
    captured = capsys.readouterr()
    assert "of the recipe, mixup have no meaning for a detector" in captured.err
    assert "epoch 2/2: loss" in captured.err
    assert "best epoch" in captured.out
    said = [line for line in captured.err.splitlines() if line.startswith(("train: ", "val: "))]
    saved = load_detector("out/weights/best.pt")
    assert saved.settings.shortest == (48,)
    assert saved.settings.box_samples == 64  # as always on a CPU
    assert saved.classes == toys.CLASSES
    left = {path.name for path in Path("out").iterdir()}
    assert left >= {"weights", "results.csv", "results.png", "checkpoint.pt"}

    # The same command again finds nothing left to do.
    assert main([*command, "--json"]) == 0
    again = json.loads(capsys.readouterr().out)
    assert [(part["part"], part["boxes"] > 0) for part in again["parts"]] == [("train", True), ("val", True)]
    assert folders.part_lines(again["parts"]) == said
    assert again["epochs"] == 2

    arguments = ["out/weights/best.pt", "--data", "squares", "-o", "measured", "--latency", "--json"]
    assert main(["detect", "evaluate", *arguments]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["ap"] == again["ap"]
    assert found["ap_interval"] == again["ap_interval"]
    assert found["parts"] == again["parts"]
    assert set(found["per_class"]) == set(toys.CLASSES)
    assert found["macs"] > 0
    assert found["latency"] > 0
    assert {path.name for path in Path("measured").iterdir()} == {
        "confusion.png",
        "precision_recall.png",
        "results.json",
    }
    assert main(["detect", "evaluate", "out/weights/last.pt", "--data", "squares"]) == 0
    assert "AP50" in capsys.readouterr().out


def test_boxes_that_cannot_be_read_do_not_keep_results_from_having_their_ids(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = folder / "squares" / "val" / "annotations.json"
    document = json.loads(file.read_text())
    del document["annotations"][0]["bbox"]
    file.write_text(json.dumps(document))
    picture = next((folder / "squares" / "val").rglob("*.png"))
    command = ["detect", "predict", "toy.pt", str(picture), "--data", "squares", "--threshold", "0", "--json"]
    assert main(command) == 0
    (number,) = {row["image_id"] for row in json.loads(capsys.readouterr().out)}
    assert number in {image["id"] for image in document["images"] if picture.name in image["file_name"]}
    file.write_text("{")
    assert main(command) == 2


def test_a_searched_detector_with_random_weights_is_not_frozen(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    settings = toys.SETTINGS.replace(freeze=1)
    candidate = DetectorCandidate(architecture=toys.PARTS, settings=settings, recipe=toys.TRAINING)
    Path("frozen.yaml").write_text(candidate.to_yaml())
    command = ["detect", "train", "frozen.yaml", "--data", "squares", "--epochs", "1", "-o"]
    assert main([*command, "random"]) == 0
    assert (
        "frozen.yaml is trained without frozen stages, as its weights are random" in capsys.readouterr().err
    )
    assert load_detector("random/weights/last.pt").settings.freeze == 0
    assert main([*command, "started", "--weights", "toy.pt"]) == 0
    assert "without frozen stages" not in capsys.readouterr().err
    assert load_detector("started/weights/last.pt").settings.freeze == 1


def test_a_detector_is_trained_on(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Its own file is architecture, settings and weights in one."""
    arguments = ["toy.pt", "--data", "squares", "-o", "out", "--epochs", "1", "--lr", "1e-12", "--no-ema"]
    assert main(["detect", "train", *arguments]) == 0
    said = capsys.readouterr().err
    assert "loaded: trunk" in said
    assert "loaded: box predictor" in said
    before, after = load_detector("toy.pt"), load_detector("out/weights/last.pt")
    assert after.settings == before.settings
    name = "roi_heads.box_predictor.cls_score.weight"
    assert torch.allclose(before.state[name], after.state[name], atol=1e-6)


@pytest.mark.parametrize(
    ("arguments", "passes"),
    [("toy.pt", 3), ("toy.pt --epochs 1", 1), ("fbnetv3a_c4 --shortest 48 --longest 64", 2)],
)
def test_a_training_is_as_long_as_its_images_need(
    arguments: str,
    passes: int,
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr("detector.space.lengths._SEEN", 24)  # three passes over the eight images
    monkeypatch.setattr("detector.space.lengths._FEWEST_FROM_SCRATCH", 1)
    monkeypatch.setattr("detector.space.lengths._SEEN_FROM_SCRATCH", 16)
    command = ["detect", "train", *arguments.split(), "--data", "squares", "-o", "out", "--json"]
    assert main(command) == 0
    assert json.loads(capsys.readouterr().out)["epochs"] == passes


def test_data_check(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["data", "check", "squares"]) == 0
    assert "no errors" in capsys.readouterr().out

    def spoil(document: dict[str, list[dict[str, object]]]) -> None:
        document["annotations"][0]["bbox"] = [3, 3, 0, 5]
        document["annotations"][1]["category_id"] = 99
        document["annotations"][2]["iscrowd"] = 1

    bad = folders.coco(folder / "bad", spoil)
    (bad / "train" / "2.png").write_bytes((bad / "train" / "2.png").read_bytes()[:60])
    assert main(["data", "check", "bad"]) == 2
    captured = capsys.readouterr()
    for code in ("box-empty", "category-unknown", "image-unreadable"):
        assert code in captured.out
    assert "3 errors" in captured.err
    counts = "3 errors (image-unreadable 1, category-unknown 1, box-empty 1); 1 warning (crowd 1)"
    assert captured.out.endswith(f"bad: {counts}\n")

    assert main(["data", "check", "bad", "--json"]) == 2
    findings = json.loads(capsys.readouterr().out)["findings"]
    assert {"severity", "code", "file", "id"} <= set(findings[0])
    assert main(["data", "check", "bad", "--fix", "mended", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["path"] == "mended"
    assert any("box-empty" in change or "no area" in change for change in told["changes"])
    assert main(["data", "check", "mended"]) == 0
    assert main(["detect", "train", "toy.yaml", "--data", "bad", "-o", "out"]) == 2
    assert "nars data check DIR" in capsys.readouterr().err


@pytest.mark.gpu
def test_train_evaluate_predict_on_a_gpu(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    gpu = ["--device", "cuda"]
    options = ["--data", "squares", "-o", "out", "--epochs", "40", *SMALL]
    assert main(["detect", "train", "toy.yaml", *options, "--workers", "2", *gpu]) == 0
    saved = load_detector("out/weights/last.pt")
    assert saved.settings.box_samples == 512  # as published
    capsys.readouterr()
    found = []
    for device in ("cuda", "cpu"):
        arguments = ["out/weights/last.pt", "--data", "squares", "-o", f"on_{device}", "--device", device]
        assert main(["detect", "evaluate", *arguments, "--json"]) == 0
        found.append(json.loads(capsys.readouterr().out)["ap"])
    assert found[0] > 0.01
    assert abs(found[0] - found[1]) < 0.05  # half precision moves boxes by fractions of a pixel
    pictures = str(next(Path("squares").rglob("*.png")).parent)
    assert main(["detect", "predict", "out/weights/last.pt", pictures, "-o", "drawn", *gpu]) == 0
    assert any(Path("drawn").rglob("*.json"))
