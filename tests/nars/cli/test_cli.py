"""The command line: exit codes, one line for a mistake, and the main job end to end."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import click
import folders
import pandas as pd
import pytest

from nars import __version__
from nars.cli import main, nars, search
from nars.cli.export import weights_command
from nars.data import load
from nars.networks.build import build
from nars.networks.weights import save_weights
from nars.runs.request import SearchRequest
from nars.spec import Candidate
from search_spaces import published

TINY = """
kind: space
schema: 1
name: tiny
resolution: 8
stages:
- - {name: stem, op: conv, kernel: 3, channels: {low: 4, high: 12, step: 4}, stride: 2}
- - {name: body, op: mbconv, kernel: [3, 5], expansion: {low: 1, high: 3}, channels: [8, 16], stride: 2}
recipe:
  epochs: 1
  lr: {low: 0.02, high: 0.3, log: true}
"""


@pytest.fixture
def tiny(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("NARS_CACHE", str(tmp_path / "cache"))
    path = tmp_path / "tiny.yaml"
    path.write_text(TINY)
    return path


def commands(command: click.Command, words: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """The words of a command and of all below it."""
    yield words
    if isinstance(command, click.Group):
        context = click.Context(command)
        for word in command.list_commands(context):
            below = command.get_command(context, word)
            assert below is not None
            yield from commands(below, (*words, word))


EVERY = [*commands(nars), ("export", "FILE")]


@pytest.mark.parametrize("words", EVERY, ids=" ".join)
def test_every_command_has_help_with_an_example(
    words: tuple[str, ...], tiny: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    Path("FILE").touch()
    assert main([*words, "--help"]) == 0
    shown = capsys.readouterr().out
    example = " ".join(("Example: nars", *words)).replace("FILE", "best.pt")
    assert example in " ".join(shown.split())
    assert all(len(line) <= 80 for line in shown.splitlines())


@pytest.mark.parametrize("words", EVERY, ids=" ".join)
def test_every_option_has_a_help_text(words: tuple[str, ...]) -> None:
    command: click.Command = nars
    for word in words:
        if word == "FILE":
            command = weights_command
        elif isinstance(command, click.Group):
            below = command.get_command(click.Context(command), word)
            assert below is not None
            command = below
    mute = {
        str(option.name)
        for option in command.params
        if isinstance(option, click.Option) and not option.help and not option.hidden
    }
    assert mute == set()


@pytest.mark.parametrize("word", ["", "export", "detect"])
def test_a_group_alone_shows_its_help(word: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(word.split()) == 2
    assert "\nCommands:\n" in capsys.readouterr().err


def test_options_of_a_search_are_in_groups(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["search", "--help"]) == 0
    shown = capsys.readouterr().out
    titles = re.findall(r"^(\w+):$", shown, re.MULTILINE)
    assert titles == ["Data", "Space", "Limits", "Search", "Run", "Workers", "Output"]
    for name in SearchRequest.model_fields:
        assert f"--{name.replace('_', '-').replace('objectives', 'objective')} " in shown, name
    assert shown.index("--max-latency") < shown.index("Search:") < shown.index("--sampler")
    in_groups = {name for names in search.GROUPS.values() for name in names}
    assert in_groups == {option.name for option in search.search_command.params}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("serch", "no command 'serch': did you mean 'search'?"),
        ("search --bugdet 4", "Did you mean '--budget'?"),
        ("search --space mirco", "no space 'mirco': did you mean 'micro'?"),
        ("search --budget 4x", "budget '4x': give trials (64), a time (90s, 30m, 2h) or epochs (500ep)"),
        ("search --max-macs 1k", "no candidate meets macs <= 1000: the smallest possible is macs 289232"),
        ("search --max-macs big", "'big' is not a positive amount such as 60M or 400k"),
        ("search --objective accuracy,macc", "no objective 'macc': did you mean 'macs'?"),
        ("search --objective macs", "the first objective of classification is accuracy, got 'macs'"),
        ("search --objective acuracy", "the first objective of classification is accuracy, got 'acuracy'"),
        ("search --sampler tpee", "no sampler 'tpee': did you mean 'tpe'?"),
        ("search --sampler x", "'x' is not one of 'nars', 'random'"),
        ("search --predictor gausian", "no predictor 'gausian': did you mean 'gaussian'?"),
        ("search --seed -1", "'--seed': Input should be greater than or equal to 0, got -1"),
        ("search --seed x", "'--seed': 'x' is not a valid integer"),
        ("search --pruner mediann", "no pruner 'mediann': did you mean 'median'?"),
        ("search --task clasification", "did you mean 'classification'?"),
        ("search --fix recip=x", "give recipe=FILE or arch=FILE"),
        ("search --resume --run none", "nothing to resume"),
        ("search --data nowhere", "no data 'nowhere'"),
        ("profile fbnetv3_aa", "did you mean 'fbnetv3_a'?"),
        ("profile fbnetv3a_c4 --resolution 64", "fbnetv3a_c4 is a detector, which has sizes of images"),
        ("profile fbnetv3a_c4 --latency", "fbnetv3a_c4 is a detector: `nars detect evaluate --latency`"),
        ("train missing.yaml", "cannot read missing.yaml: No such file or directory"),
        ("train fbnetv3_a", "fbnetv3_a does not say which data it is for: name them with --data"),
        ("train elsewhere.yaml", "no data 'elsewhere'"),
        ("train elsewhere.yaml", "elsewhere.yaml records these data, name others with --data"),
        ("export best-arch --run nothing", "nothing is no run folder"),
        ("export best-arch", "no run in runs/"),
        ("export paretto", "no file or command 'paretto': did you mean 'pareto'?"),
        ("export missing.pt -o x.onnx", "missing.pt"),
        ("export tiny.yaml", "Missing option '-o'"),
        ("export best-arch -o x.tflite", "-o x.tflite: a file ends in .yaml or .yml or .onnx or"),
        ("export pareto -o x.onnx", "-o x.onnx: a file ends in .csv"),
        ("export trials -o x.json", "-o x.json: a file ends in .csv"),
        ("report -o x.pdf", "-o x.pdf: a file ends in .html or .htm"),
        ("export tiny.yaml -o x.onnx", "tiny.yaml: no file of weights: it is text"),
        ("evaluate missing.pt", "missing.pt"),
        ("proxy-check --factor nan", "Invalid value for '--factor': nan is not a finite number"),
        ("proxy-check --factor inf", "Invalid value for '--factor': inf is not a finite number"),
    ],
)
def test_a_mistake_is_one_line_and_exit_2(
    arguments: str, message: str, tiny: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    elsewhere = Candidate(architecture=published("fbnetv3_a"), data="elsewhere")
    Path("elsewhere.yaml").write_text(elsewhere.to_yaml())
    assert main(arguments.split()) == 2
    captured = capsys.readouterr()
    assert message in captured.err
    assert captured.err.startswith("nars: ")
    assert len(captured.err.strip().splitlines()) == 1
    assert not captured.out


TYPOS = """
search --sampler tpee
search --predictor gausian
search --pruner mediann
search --budget 4x
search --task clasification
search --objective acuracy
search --objective accuracy,macc
search --space mirco
search --max-macs big
proxy-check --task clasification
export best-arch --format onx
train fbnetv3_aa
train fbnetv3_a
evaluate missing.pt
detect train fbnetv3_a
detect train fbnetv3_a --optimizer sdg
detect evaluate missing.pt
"""


def test_a_typo_is_answered_before_torch_is_imported(tiny: Path) -> None:
    script = f"""
import sys
from nars.cli import main
for line in {TYPOS.strip().splitlines()!r}:
    assert main(line.split()) == 2, line
    assert "torch" not in sys.modules, line
"""
    done = subprocess.run([sys.executable, "-c", script], check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert len(done.stderr.splitlines()) == len(TYPOS.split("\n")) - 2  # one line each


def test_search_export_train_evaluate(tiny: Path, capsys: pytest.CaptureFixture[str]) -> None:
    command = ["search", "--space", str(tiny), "--budget", "3", "--workers", "1", "--run", "first"]
    assert main([*command, "--json"]) == 0
    captured = capsys.readouterr()
    lines = captured.err.splitlines()
    assert [line for line in lines if " images, 10 classes" not in line] == [
        "no --data given: using digits, which comes with nars",
        "--init auto takes none: the images are grey",
    ]
    sizes = [line.partition(" images")[0] for line in lines if " images, 10 classes" in line]
    assert sizes == ["train: 1079", "val: 359", "test: 359"]
    found = json.loads(captured.out)
    assert found["trials"] == {"complete": 3}
    assert folders.part_lines(found["parts"]) == [line for line in lines if " images, 10 classes" in line]
    assert found["best"]["accuracy"] > 0.1  # chance for ten classes

    assert main(["export", "best-arch", "--run", "first", "-o", "best.yaml"]) == 0
    best = Candidate.load("best.yaml")
    assert best.recipe.epochs == 1
    assert (best.data, best.num_classes) == ("digits", 10)
    for what in ("pareto", "trials"):
        assert main(["export", what, "--run", "first", "-o", f"{what}.csv"]) == 0
    assert len(Path("trials.csv").read_text().splitlines()) == 4
    capsys.readouterr()

    assert main(["train", "best.yaml", "-o", "best.pt", "--epochs", "2", "--json"]) == 0
    trained = json.loads(capsys.readouterr().out)
    assert main(["evaluate", "best.pt", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["accuracy"] == trained["test_accuracy"]
    network = ["--format", "pt2", "--json", "-o"]
    assert main(["export", "best.pt", *network, "new.pt2"]) == 0
    exported = json.loads(capsys.readouterr().out)
    assert main(["export", "best-arch", "--weights", "best.pt", *network, "old.pt2"]) == 0  # as in 0.1
    assert json.loads(capsys.readouterr().out) == exported | {"path": "old.pt2"}

    # The same command again finds nothing left to do; a larger budget goes on; another limit may not.
    assert main([*command, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["trials"] == {"complete": 3}
    assert main([*command, "--max-macs", "1M"]) == 2
    assert re.search(
        r"first holds another search: limits were none, now macs 1000000", capsys.readouterr().err
    )


def test_dry_run_shows_what_the_limits_leave(tiny: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["search", "--space", str(tiny), "--dry-run", "--max-params", "3k"]) == 0
    shown = capsys.readouterr().err
    assert "of candidates are feasible" in shown
    assert "smallest" in shown
    assert not Path("runs").exists()


def test_the_default_space_is_named_with_its_reason(tiny: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["search", "--dry-run"]) == 0
    lines = capsys.readouterr().err.splitlines()
    assert "--space auto takes micro: grey images of 8 pixels, fewer than 40" in lines
    assert main(["search", "--space", str(tiny), "--dry-run"]) == 0
    assert "--space auto" not in capsys.readouterr().err


def test_profile_prints_both_countings(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["profile", "fbnetv3_a"]) == 0
    assert "px, for 1000 classes; give yours with --classes" in capsys.readouterr().out
    assert main(["profile", "fbnetv3_a", "--classes", "7"]) == 0
    assert "--classes" not in capsys.readouterr().out
    file = tmp_path / "best.yaml"
    file.write_text(Candidate(architecture=published("fbnetv3_a")).on("photos", 7).to_yaml())
    assert main(["profile", str(file)]) == 0
    assert "px, for 7 classes, as its search" in capsys.readouterr().out
    assert main(["profile", "fbnetv3_a", "--json"]) == 0
    total = json.loads(capsys.readouterr().out)
    assert total["published_params"] == 8_542_224  # published: 8.542224 M
    assert total["published_flops"] == 356_598_280  # published: 356.59828 M


def test_spaces_prints_a_file_to_start_from(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["spaces"]) == 0
    listed = capsys.readouterr().out
    assert "micro: 38 architecture and 10 recipe dimensions" in listed
    assert "fbnetv3od (--task detection): 60 architecture and 12 recipe dimensions" in listed
    assert main(["spaces", "fbnetv3od"]) == 0
    assert capsys.readouterr().out.startswith("kind: detector_space")
    assert main(["spaces", "fbnetv3od", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["kind"] == "detector_space"
    assert main(["spaces", "micro"]) == 0
    path = tmp_path / "mine.yaml"
    path.write_text(capsys.readouterr().out)
    assert main(["search", "--space", str(path), "--dry-run"]) == 0


def test_data_is_described(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["data", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert [split["images"] for split in found["splits"].values()] == [1079, 359, 359]


def test_weights_of_an_unnamed_data_set_need_data(tiny: Path, capsys: pytest.CaptureFixture[str]) -> None:
    candidate, digits = Candidate(architecture=published("fbnetv3_a")), load("digits")
    save_weights(
        "old.pt",
        build(candidate.architecture, 10),
        candidate,
        {},
        classes=digits.classes,
        mean=digits.mean,
        std=digits.std,
    )
    assert main(["evaluate", "old.pt"]) == 2
    assert "old.pt does not say which data it is for: name them with --data" in capsys.readouterr().err


@pytest.mark.gpu
def test_search_export_train_evaluate_on_a_gpu(tiny: Path, capsys: pytest.CaptureFixture[str]) -> None:
    command = ["search", "--space", str(tiny), "--budget", "3", "--run", "first", "--device", "cuda"]
    assert main([*command, "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["trials"] == {"complete": 3}
    assert [(part["part"], part["images"]) for part in found["parts"]] == [
        ("train", 1079),
        ("val", 359),
        ("test", 359),
    ]
    assert found["best"]["accuracy"] > 0.1  # chance for ten classes
    assert main(["export", "best-arch", "--run", "first", "-o", "best.yaml"]) == 0
    assert main(["train", "best.yaml", "-o", "best.pt", "--epochs", "6", "--device", "cuda"]) == 0
    capsys.readouterr()
    accuracies = []
    for device in ("cuda", "cpu"):
        assert main(["evaluate", "best.pt", "--device", device, "--json"]) == 0
        accuracies.append(json.loads(capsys.readouterr().out)["accuracy"])
    assert abs(accuracies[0] - accuracies[1]) <= 0.02  # half precision may turn single answers of the 359
    assert main(["profile", "fbnetv3_a", "--latency", "--device", "cuda", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["latency"]


def test_the_version_is_that_of_the_package(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--version"]) == 0
    assert capsys.readouterr().out == f"nars, version {__version__}\n"
    pyproject = tomllib.loads((Path(__file__).parents[3] / "pyproject.toml").read_text())
    assert __version__ == pyproject["project"]["version"]


def test_a_search_by_a_function_of_ones_own(tiny: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Path("mine_to_search.py").write_text(
        "def f(labels, probabilities):\n    return -float((probabilities.argmax(1) != labels).mean())\n"
    )
    command = ["search", "--space", str(tiny), "--budget", "2", "--workers", "1", "--run", "own"]
    metric = ["--metric", "mine_to_search:f"]
    assert main([*command, *metric, "--json"]) == 0
    best = json.loads(capsys.readouterr().out)["best"]
    assert -1 < best["mine_to_search:f"] < 0
    table = pd.read_csv("own/trials.csv")
    assert table["mine_to_search:f"].tolist() == pytest.approx((table["accuracy"] - 1).tolist())
    assert main(command) == 2
    said = capsys.readouterr().err
    assert "metric was mine_to_search:f, now accuracy: --metric mine_to_search:f restores it" in said
    assert main(["report", "--run", "own"]) == 2
    assert "own is scored by code, mine_to_search:f: repeat --metric" in capsys.readouterr().err
    assert main(["report", "--run", "own", *metric]) == 0
    assert "Classes of the winner" in Path("own/report.html").read_text()
    assert main(["worker", "--storage", "own/study.journal", "--study", "own"]) == 2
    assert "study own is scored by code" in capsys.readouterr().err
