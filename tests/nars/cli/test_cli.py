"""The command line: exit codes, one line for a mistake, and the main job end to end."""

from __future__ import annotations

import json
import re
import tomllib
from pathlib import Path

import pytest

import nars
from nars.cli import COMMANDS, main
from nars.spec import Candidate

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


@pytest.mark.parametrize("word", COMMANDS)
def test_every_command_has_help_with_an_example(word: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([word, "--help"]) == 0
    assert f"Example: nars {word.split()[0]}" in " ".join(capsys.readouterr().out.split())


def test_the_version_is_that_of_the_package(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--version"]) == 0
    assert capsys.readouterr().out == f"nars, version {nars.__version__}\n"
    pyproject = tomllib.loads((Path(__file__).parents[3] / "pyproject.toml").read_text())
    assert nars.__version__ == pyproject["project"]["version"]


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
        ("search --sampler tpee", "no sampler 'tpee': did you mean 'tpe'?"),
        ("search --pruner mediann", "no pruner 'mediann': did you mean 'median'?"),
        ("search --task clasification", "did you mean 'classification'?"),
        ("search --fix recip=x", "give recipe=FILE or arch=FILE"),
        ("search --resume --run none", "nothing to resume"),
        ("search --data nowhere", "no data 'nowhere'"),
        ("profile fbnetv3_aa", "did you mean 'fbnetv3_a'?"),
        ("train missing.yaml", "cannot read missing.yaml: No such file or directory"),
        ("export best-arch --run nothing", "nothing is no run folder"),
        ("export best-arch", "no run in runs/"),
        ("evaluate missing.pt", "missing.pt"),
    ],
)
def test_a_mistake_is_one_line_and_exit_2(
    arguments: str, message: str, tiny: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(arguments.split()) == 2
    captured = capsys.readouterr()
    assert message in captured.err
    assert captured.err.startswith("nars: ")
    assert len(captured.err.strip().splitlines()) == 1
    assert not captured.out


def test_search_export_train_evaluate(tiny: Path, capsys: pytest.CaptureFixture[str]) -> None:
    command = ["search", "--space", str(tiny), "--budget", "3", "--workers", "1", "--run", "first"]
    assert main([*command, "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["trials"] == {"complete": 3}
    assert found["best"]["accuracy"] > 0.1  # chance for ten classes

    assert main(["export", "best-arch", "--run", "first", "-o", "best.yaml"]) == 0
    best = Candidate.load("best.yaml")
    assert best.recipe.epochs == 1
    for what in ("pareto", "trials"):
        assert main(["export", what, "--run", "first", "-o", f"{what}.csv"]) == 0
    assert len(Path("trials.csv").read_text().splitlines()) == 4
    capsys.readouterr()

    assert main(["train", "best.yaml", "-o", "best.pt", "--epochs", "2", "--json"]) == 0
    trained = json.loads(capsys.readouterr().out)
    assert main(["evaluate", "best.pt", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["accuracy"] == trained["test_accuracy"]

    # The same command again finds nothing left to do; a larger budget goes on; another limit may not.
    assert main([*command, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["trials"] == {"complete": 3}
    assert main([*command, "--max-macs", "1M"]) == 2
    assert re.search(r"first holds another search: limits was \{\}, now", capsys.readouterr().err)


def test_dry_run_shows_what_the_limits_leave(tiny: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["search", "--space", str(tiny), "--dry-run", "--max-params", "3k"]) == 0
    shown = capsys.readouterr().err
    assert "of candidates are feasible" in shown
    assert "smallest" in shown
    assert not Path("runs").exists()


def test_profile_prints_both_countings(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["profile", "fbnetv3_a", "--json"]) == 0
    total = json.loads(capsys.readouterr().out)
    assert total["published_params"] == 8_542_224  # published: 8.542224 M
    assert total["published_flops"] == 356_598_280  # published: 356.59828 M


def test_spaces_prints_a_file_to_start_from(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["spaces"]) == 0
    assert "micro: 38 architecture and 10 recipe dimensions" in capsys.readouterr().out
    assert main(["spaces", "micro"]) == 0
    path = tmp_path / "mine.yaml"
    path.write_text(capsys.readouterr().out)
    assert main(["search", "--space", str(path), "--dry-run"]) == 0


def test_data_is_described(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["data", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert [split["images"] for split in found["splits"].values()] == [1079, 359, 359]


@pytest.mark.gpu
def test_search_export_train_evaluate_on_a_gpu(tiny: Path, capsys: pytest.CaptureFixture[str]) -> None:
    command = ["search", "--space", str(tiny), "--budget", "3", "--run", "first", "--device", "cuda"]
    assert main([*command, "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["trials"] == {"complete": 3}
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
