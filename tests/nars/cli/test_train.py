"""``nars train``: its options, the folder it leaves, the weights it starts from, and how it continues."""

from __future__ import annotations

import csv
import json
import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import torch

from nars.cli import main, train
from nars.networks.weights import load_weights
from nars.spec import Architecture, Block, Candidate, Recipe
from nars.training.loop import Outputs

CANDIDATE = Candidate(
    architecture=Architecture(
        name="small",
        resolution=8,
        stages=[
            [Block(op="conv", channels=8, kernel=3)],
            [Block(op="mbconv", channels=16, kernel=3, expansion=2, stride=2)],
            [Block(op="conv", channels=32, kernel=1)],
        ],
    ),
    recipe=Recipe(epochs=4, lr=0.1),
    data="digits",
)


@pytest.fixture(autouse=True)
def _folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("small.yaml").write_text(CANDIDATE.to_yaml())


@pytest.fixture
def unlucky(monkeypatch: pytest.MonkeyPatch) -> None:
    """The second epoch is the best: from the third on, most answers count as wrong."""
    from nars.training import loop

    real, calls = loop.evaluate, {"val": 0}

    def evaluate(model: Any, data: Any, split: str, **options: Any) -> Any:
        from dataclasses import replace

        metrics = real(model, data, split, **options)
        calls[split] = calls.get(split, 0) + 1
        worse = metrics.accuracy / 10
        return replace(metrics, accuracy=worse, score=worse) if calls[split] > 2 else metrics

    monkeypatch.setattr(loop, "evaluate", evaluate)


def numbers(command: str, capsys: pytest.CaptureFixture[str]) -> Any:
    capsys.readouterr()
    assert main([*command.split(), "--json"]) == 0
    return json.loads(capsys.readouterr().out)


def table(folder: str) -> list[dict[str, str]]:
    rows = list(csv.DictReader((Path(folder) / "results.csv").read_text().splitlines()))
    return [{name: value for name, value in row.items() if name != "seconds"} for row in rows]


def same(one: str, other: str) -> bool:
    mine, theirs = load_weights(one), load_weights(other)
    equal = all(torch.equal(mine.state[name], theirs.state[name]) for name in mine.state)
    return equal and mine.metrics == theirs.metrics


def test_every_field_of_a_recipe_is_an_option(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["train", "--help"]) == 0
    shown = capsys.readouterr().out
    assert re.findall(r"^([A-Z].*):$", shown, re.MULTILINE) == list(train.GROUPS)
    for name in Recipe.model_fields:
        assert f"--{name.replace('_', '-')} " in shown, name
    in_groups = {name for names in train.GROUPS.values() for name in names}
    assert in_groups == {option.name for option in train.train_command.params} - {"arch"}


def test_options_come_before_what_the_file_says(capsys: pytest.CaptureFixture[str]) -> None:
    Path("recipe.yaml").write_text(Recipe(epochs=7, lr=0.3, ema=True).to_yaml())
    command = "train small.yaml --recipe recipe.yaml --epochs 1 --optimizer adamw --lr 0.01 --no-ema"
    found = numbers(f"{command} -o short.safetensors --metric macro_f1", capsys)
    assert {"val_accuracy", "test_accuracy", "val_macro_f1", "test_macro_f1"} <= found.keys()
    expected = Recipe(epochs=1, lr=0.01, optimizer="adamw")
    assert load_weights("short.safetensors").candidate.recipe == expected
    assert sorted(path.name for path in Path().iterdir()) == [
        "recipe.yaml",
        "short.safetensors",
        "small.yaml",
    ]


@pytest.mark.usefixtures("unlucky")
def test_a_folder_has_the_best_and_the_last(capsys: pytest.CaptureFixture[str]) -> None:
    found = numbers("train small.yaml -o run --patience 2", capsys)
    best, last = load_weights("run/weights/best.pt"), load_weights("run/weights/last.pt")
    assert (found["best_epoch"], found["epoch"], found["epochs"], found["last"]["epoch"]) == (2, 2, 4, 4)
    assert found["weights"] == "run/weights/best.pt"
    assert found["last"]["weights"] == "run/weights/last.pt"
    scores = ("val_accuracy", "test_accuracy", "test_balanced_accuracy")
    assert best.metrics == {name: found[name] for name in scores}
    assert last.metrics == {name: found["last"][name] for name in scores}
    assert found["val_accuracy"] > 5 * found["last"]["val_accuracy"]
    for file, tested in ((best.source, found), (last.source, found["last"])):
        assert numbers(f"evaluate {file}", capsys)["accuracy"] == tested["test_accuracy"]
    rows = table("run")
    assert [row["epoch"] for row in rows] == ["1", "2", "3", "4"]
    assert float(rows[1]["val_accuracy"]) == found["val_accuracy"]
    assert (Path("run") / "results.png").stat().st_size > 10_000
    assert main(["train", "small.yaml", "-o", "run", "--patience", "2"]) == 0  # nothing is left to do
    captured = capsys.readouterr()
    assert re.findall(r"^(best|last) epoch (\d): val accuracy", captured.out, re.MULTILINE) == [
        ("best", "2"),
        ("last", "4"),
    ]
    assert "epoch 4/4" not in captured.err
    assert captured.err.count("run is finished; this is its result") == 1
    assert best.metrics == load_weights("run/weights/best.pt").metrics


@pytest.mark.usefixtures("unlucky")
def test_patience_ends_a_training(capsys: pytest.CaptureFixture[str]) -> None:
    found = numbers("train small.yaml -o run --epochs 30 --patience 3", capsys)
    assert (found["best_epoch"], found["epochs"]) == (2, 5)
    again = numbers("train small.yaml -o run --epochs 30 --patience 3", capsys)
    assert again["epochs"] == 5


def test_a_killed_training_continues_to_the_same_bits(capsys: pytest.CaptureFixture[str]) -> None:
    command = ["train", "small.yaml", "--epochs", "6", "--ema", "--mixup", "0.2", "-o"]
    with subprocess.Popen([sys.executable, "-m", "nars", *command, "killed"]) as process:
        deadline = time.monotonic() + 60
        while not Path("killed/checkpoint.pt").exists() and time.monotonic() < deadline:
            time.sleep(0.02)
        process.send_signal(signal.SIGKILL)
    begun = len(table("killed"))
    assert 1 <= begun < 6
    assert main([*command, "killed"]) == 0
    assert f"epoch {begun - 1}/6" not in capsys.readouterr().err
    assert main([*command, "whole"]) == 0
    assert table("killed") == table("whole")
    for name in ("best", "last"):
        assert same(f"killed/weights/{name}.pt", f"whole/weights/{name}.pt")


def test_an_interrupted_training_says_how_it_continues(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from nars.training import loop

    real, stop_after = loop.train, [0]

    def interrupted(*parts: Any, outputs: Outputs, **options: Any) -> Any:
        def on_epoch(progress: loop.Progress) -> bool:
            if progress.epoch == stop_after[0]:
                raise KeyboardInterrupt
            return True

        if not stop_after[0]:
            raise KeyboardInterrupt
        return real(*parts, outputs=Outputs(**vars(outputs) | {"on_epoch": on_epoch}), **options)

    monkeypatch.setattr(loop, "train", interrupted)
    for stop_after[0], output, message in (
        (0, "run", "interrupted in its first epoch; the same command starts again"),
        (1, "run", "interrupted; the same command continues from run/checkpoint.pt"),
        (2, "one.pt", "interrupted; the same command continues from one.pt.checkpoint"),
    ):
        assert main(["train", "small.yaml", "-o", output, "--json"]) == 130
        assert capsys.readouterr().err == f"nars: {message}\n"


def test_weights_are_taken_as_they_are(capsys: pytest.CaptureFixture[str]) -> None:
    first = numbers("train small.yaml -o first.pt", capsys)
    other = CANDIDATE.replace(architecture=CANDIDATE.architecture.replace(name="other", resolution=12))
    Path("other.yaml").write_text(other.to_yaml())
    slow = "--epochs 1 --lr 1e-9 --optimizer adamw"
    second = numbers(f"train small.yaml -o second.pt --weights first.pt {slow}", capsys)
    assert second["val_accuracy"] == pytest.approx(first["val_accuracy"], abs=0.02)
    assert load_weights("second.pt").mean == load_weights("first.pt").mean
    assert main(f"train other.yaml -o third.pt --weights first.pt {slow}".split()) == 0
    assert "starting from the weights in first.pt" in capsys.readouterr().err


def test_a_checkpoint_tells_parents_apart(capsys: pytest.CaptureFixture[str]) -> None:
    for seed in (0, 1):
        assert main(f"train small.yaml -o parent{seed}.pt --epochs 1 --seed {seed}".split()) == 0
    assert main(["train", "small.yaml", "-o", "child", "--epochs", "1", "--init", "parent0.pt"]) == 0
    assert main(["train", "small.yaml", "-o", "child", "--epochs", "1", "--init", "parent0.pt"]) == 0
    capsys.readouterr()
    assert main(["train", "small.yaml", "-o", "child", "--epochs", "1", "--init", "parent1.pt"]) == 2
    assert "child/checkpoint.pt is of another training: start was '" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("-o x.safetensor", "-o x.safetensor: did you mean '.safetensors'?"),
        ("-o x.pth", "-o x.pth: did you mean '.pt'?"),
        ("-o folder.pt", "-o folder.pt is a folder: give the name of a file"),
        ("-o small.yaml", "-o small.yaml is a file: a file ends in .pt or .safetensors"),
        ("--epochs 0", "'--epochs': Input should be greater than or equal to 1"),
        ("--optimizer sdg", "no optimizer 'sdg': did you mean 'sgd'?"),
        ("--patience -1", "'--patience'"),
        ("--weights missing.pt", "File 'missing.pt' does not exist"),
        ("--weights small.yaml --init other.pt", "--init inherits what fits and --weights loads all"),
        ("--weights small.yaml", "small.yaml: "),
        ("--weights other.pt", "other.pt is of another network: stages[1][0].channels is 24, expected 16"),
        ("--weights classes.pt", "classes.pt is of another network: it has 3 classes, expected 10"),
    ],
)
def test_a_mistake_is_one_line_and_exit_2(
    arguments: str, message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    from nars.networks.build import build
    from nars.networks.weights import save_weights

    Path("folder.pt").mkdir()
    stages = CANDIDATE.architecture.stages
    wider = CANDIDATE.architecture.replace(stages=[stages[0], [stages[1][0].replace(channels=24)], stages[2]])
    for name, architecture, classes in (("other", wider, 10), ("classes", CANDIDATE.architecture, 3)):
        candidate, third = CANDIDATE.replace(architecture=architecture), torch.ones(3) / 3
        words = [str(number) for number in range(classes)]
        model = build(architecture, classes)
        save_weights(f"{name}.pt", model, candidate, {}, classes=words, mean=third, std=third)
    assert main(["train", "small.yaml", *arguments.split()]) == 2
    error = capsys.readouterr().err
    assert message in error
    assert len(error.strip().splitlines()) == 1


def test_the_parent_may_be_left_to_the_images(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["train", "small.yaml", "--epochs", "1", "--init", "auto", "-o", "chosen.pt"]) == 0
    assert "--init auto takes none: the images are grey" in capsys.readouterr().err
    assert main(["train", "small.yaml", "--epochs", "1", "-o", "plain.pt"]) == 0
    assert same("chosen.pt", "plain.pt")


def test_a_recipe_that_was_taught_goes_on_without_a_teacher(capsys: pytest.CaptureFixture[str]) -> None:
    Path("taught.yaml").write_text(CANDIDATE.replace(recipe=Recipe(epochs=1, distill=0.7)).to_yaml())
    assert main(["train", "taught.yaml", "-o", "out.pt"]) == 0
    assert "taught.yaml is trained without a teacher" in capsys.readouterr().err
    assert load_weights(Path("out.pt")).candidate.recipe.distill == 0


def test_random_weights_are_not_frozen(capsys: pytest.CaptureFixture[str]) -> None:
    Path("frozen.yaml").write_text(CANDIDATE.replace(recipe=Recipe(epochs=1, frozen=0.5)).to_yaml())
    assert main(["train", "frozen.yaml", "-o", "out.pt"]) == 0
    assert (
        "frozen.yaml is trained without frozen stages, as its weights are random" in capsys.readouterr().err
    )
    assert load_weights(Path("out.pt")).candidate.recipe.frozen == 0
    assert main(["train", "frozen.yaml", "-o", "more.pt", "--weights", "out.pt"]) == 0
    assert load_weights(Path("more.pt")).candidate.recipe.frozen == 0.5


def test_a_teacher_that_is_asked_for_is_missed_before_anything_is_done(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(["train", "small.yaml", "--distill", "0.5", "-o", "out.pt"]) == 2
    said = capsys.readouterr().err
    assert "distill 0.5 needs a teacher: --init" in said
    assert "training on" not in said
