from __future__ import annotations

import json
from pathlib import Path

import folders
import numpy as np
import pytest
import torch

from nars.cli import main
from nars.data.arrays import from_arrays
from nars.networks.build import build
from nars.networks.weights import save_weights
from nars.spec import Architecture, Block, Candidate, Recipe

SIDE = 8


@pytest.fixture
def weights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> Path:
    """Random weights of a network, for data of as many classes as the test asks for."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "80")
    classes = getattr(request, "param", 3)
    labels = np.arange(6 * classes) % classes
    images = np.random.default_rng(0).integers(0, 256, (len(labels), SIDE, SIDE), dtype=np.uint8)
    arrays = {
        f"{name}_{split}": part
        for split in ("train", "val", "test")
        for name, part in (("x", images), ("y", labels))
    }
    names = [f"class number {label} with a long name" for label in range(classes)]
    np.savez("data.npz", **arrays, classes=np.array(names))
    data = from_arrays("data", arrays, names)
    block = Block(op="conv", channels=8, kernel=3, stride=2)
    candidate = Candidate(
        architecture=Architecture(name="tiny", resolution=SIDE, stages=((block,),)),
        recipe=Recipe(epochs=1),
        data="data.npz",
    )
    torch.manual_seed(0)
    model = build(candidate.architecture, classes, candidate.recipe)
    file = tmp_path / "best.pt"
    save_weights(file, model, candidate, {}, classes=data.classes, mean=data.mean, std=data.std)
    return file


def numbers(capsys: pytest.CaptureFixture[str], *words: str) -> dict[str, object]:
    assert main(["evaluate", "best.pt", "--json", *words]) == 0
    found: dict[str, object] = json.loads(capsys.readouterr().out)
    return found


def test_a_test_part_that_is_cut_anew_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """With a picture more or less, most of it was trained on."""
    photos = tmp_path / "photos"
    for number in range(24):
        folders.picture(photos / ("cat", "dog")[number % 2] / f"{number}.png", 8, 8, number)
    block = Block(op="conv", channels=8, kernel=3, stride=2)
    tiny = Architecture(name="tiny", resolution=SIDE, stages=((block,),))
    candidate = Candidate(architecture=tiny, recipe=Recipe(epochs=1), data=str(photos))
    (tmp_path / "tiny.yaml").write_text(candidate.to_yaml())
    assert main(["train", str(tmp_path / "tiny.yaml"), "-o", str(tmp_path / "t")]) == 0
    command = ["evaluate", str(tmp_path / "t/weights/best.pt")]
    capsys.readouterr()
    assert main(command) == 0
    assert "has changed" not in capsys.readouterr().err
    folders.picture(photos / "cat" / "new.png", 8, 8, 99)
    assert main(command) == 0
    said = capsys.readouterr().err
    assert "has changed since the training of" in said
    assert "some of these test images may have been trained on" in said
    photos.rename(tmp_path / "others")
    assert main([*command, "--data", str(tmp_path / "others"), "--split", "test"]) == 0
    assert "has changed" not in capsys.readouterr().err  # these are other data


@pytest.mark.parametrize("weights", [3, 10, 12], indirect=True)
def test_the_tables_fit_a_terminal(weights: Path, capsys: pytest.CaptureFixture[str]) -> None:
    found = numbers(capsys)
    matrix = np.array(found["confusion"])
    assert main(["evaluate", "best.pt"]) == 0
    shown = capsys.readouterr().out
    assert max(map(len, shown.splitlines()[:-1])) <= 80
    for metric, title in (("macro_f1", "macro F1"), ("accuracy", "accuracy"), ("auroc", "AUROC")):
        assert main(["evaluate", "best.pt", "--metric", metric]) == 0
        last = capsys.readouterr().out.splitlines()[-1]
        assert last.startswith(f"{title} {found[metric]:.4f}, ")
        assert last.count(f"{title} ") == 1
    assert f"macro F1 {found['macro_f1']:.4f}, AUROC {found['auroc']:.4f}" in shown
    if len(matrix) <= 10:
        assert shown.count("class number 1 with") == 2  # in the table of classes and in the matrix
        last = next(
            line for line in reversed(shown.splitlines()) if line.strip().startswith(f"{len(matrix)} class")
        )
        cells = [0 if cell == "." else int(cell) for cell in last.split()[-len(matrix) :]]
        assert cells == matrix[-1].tolist()
    else:
        assert "the 10 worst of 12 classes" in shown
        mistakes = matrix - np.diag(np.diag(matrix))
        assert f"{mistakes.max()} of 6" in shown


def test_json_has_everything(weights: Path, capsys: pytest.CaptureFixture[str]) -> None:
    found = numbers(capsys, "--metric", "macro_f1")
    assert found["metric"] == "macro_f1"
    assert found["score"] == found["macro_f1"]
    assert np.sum(found["confusion"]) == found["images"] == 18
    assert len(found["recall"]) == len(found["precision"]) == len(found["f1"]) == 3
    assert len(found["classes"]) == 3


def test_a_function_of_ones_own(weights: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Path("mine_to_evaluate.py").write_text("def f(labels, probabilities):\n    return -probabilities.sum()\n")
    assert numbers(capsys, "--metric", "mine_to_evaluate:f")["score"] == pytest.approx(-18)
    assert main(["evaluate", "best.pt", "--metric", "mine_to_evaluate:f"]) == 0
    assert capsys.readouterr().out.splitlines()[-1].startswith("mine_to_evaluate:f -18.0000, accuracy 0.")
    assert main(["evaluate", "best.pt", "--metric", "mine_to_evaluate:g"]) == 2
    assert "no function 'g' in" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (["class number 0 with a long name", "another"], "'another' is not"),
        (
            [f"class number {label} with a long name" for label in range(4)],
            "'class number 3 with a long name' is not",
        ),
    ],
)
def test_other_classes_are_named(
    weights: Path, capsys: pytest.CaptureFixture[str], names: list[str], message: str
) -> None:
    labels = np.arange(60) % len(names)
    images = np.zeros((60, SIDE, SIDE), np.uint8)
    np.savez("other.npz", x_train=images, y_train=labels, classes=np.array(names))
    assert main(["evaluate", "best.pt", "--data", "other.npz", "--split", "train"]) == 2
    said = capsys.readouterr().err
    assert message in said
    assert "best.pt was trained on 3 classes, other.npz has " in said


def test_classes_in_another_order_are_matched_by_name(
    weights: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    labels, order = np.arange(60) % 3, [2, 0, 1]
    images = np.random.default_rng(0).integers(0, 255, (60, SIDE, SIDE), dtype=np.uint8)
    names = np.array([f"class number {label} with a long name" for label in range(3)])
    x = {f"x_{split}": images for split in ("train", "val", "test")}
    for file, y, classes in (
        ("same.npz", labels, names),
        ("moved.npz", np.argsort(order)[labels], names[order]),
    ):
        np.savez(file, **x, **{f"y_{split}": y for split in ("train", "val", "test")}, classes=classes)
    results = []
    for file in ("same.npz", "moved.npz"):
        assert main(["evaluate", "best.pt", "--data", file, "--split", "train", "--json"]) == 0
        scores = json.loads(capsys.readouterr().out)
        results.append(dict(zip(scores["classes"], scores["recall"], strict=True)))
    assert results[0] == results[1]


def test_fewer_classes_are_matched_by_name_and_the_others_said(
    weights: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    labels = np.arange(60) % 2
    images = np.random.default_rng(0).integers(0, 255, (60, SIDE, SIDE), dtype=np.uint8)
    names = [f"class number {label} with a long name" for label in (2, 0)]
    every = [f"class number {label} with a long name" for label in range(3)]
    for file, numbered, titles in (("fewer", labels, names), ("all", np.where(labels == 0, 2, 0), every)):
        parts = {
            f"{axis}_{part}": values
            for part in ("train", "val", "test")
            for axis, values in (("x", images), ("y", numbered))
        }
        np.savez(f"{file}.npz", **parts, classes=np.array(titles))
    words = ("--split", "train", "--data")
    few, whole = numbers(capsys, *words, "fewer.npz"), numbers(capsys, *words, "all.npz")
    assert few["classes"] == [*names, "class number 1 with a long name"]
    assert few["classes_without_images"] == ["class number 1 with a long name"]
    assert (few["accuracy"], few["loss"]) == pytest.approx((whole["accuracy"], whole["loss"]))
    matrix = np.array(few["confusion"])
    assert matrix[2].tolist() == [0, 0, 0]
    assert matrix.tolist() == np.array(whole["confusion"])[[2, 0, 1]][:, [2, 0, 1]].tolist()
    assert main(["evaluate", "best.pt", *words, "fewer.npz"]) == 0
    assert "fewer.npz has no images of 'class number 1 with a long name'" in capsys.readouterr().err


def test_a_function_counts_classes_as_in_the_training(
    weights: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    Path("mine_of_class_two.py").write_text(
        "def share(labels, probabilities):\n    return (labels == 2).mean()\n"
        "def chance(labels, probabilities):\n    return probabilities[:, 2].mean()\n"
    )
    images = np.random.default_rng(0).integers(0, 255, (60, SIDE, SIDE), dtype=np.uint8)
    numbered = np.repeat([2, 0], [45, 15])
    every = [f"class number {label} with a long name" for label in range(3)]
    for file, y, titles in (("all", numbered, every), ("fewer", numbered // 2, [every[0], every[2]])):
        np.savez(f"{file}.npz", x_train=images, y_train=y, classes=np.array(titles))
    scores = {
        (file, function): numbers(
            capsys, "--split", "train", "--data", f"{file}.npz", "--metric", f"mine_of_class_two:{function}"
        )["score"]
        for file in ("all", "fewer")
        for function in ("share", "chance")
    }
    assert scores["fewer", "share"] == scores["all", "share"] == pytest.approx(0.75)
    assert scores["fewer", "chance"] == pytest.approx(scores["all", "chance"])
