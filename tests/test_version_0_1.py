"""Everything that nars 0.1 wrote is read and continued: ``data/version_0_1/make.sh`` says how it was made.

Only the command line and the packages' public names are used, so these tests outlive any move inside.
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

import detector
import nars
import search_spaces
from nars.cli import main

WRITTEN = Path(__file__).parent / "data" / "version_0_1"

SEARCH = "search --space space.yaml --workers 1 --seed 1"
FINISHED = f"{SEARCH} --max-macs 200k --run finished"
DETECTION = (
    "detect train best.yaml --data digit-scenes --weights classifier.pt --epochs 1 --batch-size 2 "
    "--shortest 64 --longest 80 --pooler-resolution 2 --test-proposals 20"
)


@pytest.fixture(autouse=True)
def _folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A copy of what was written is the working folder."""
    shutil.copytree(WRITTEN, tmp_path / "written")
    monkeypatch.chdir(tmp_path / "written")
    monkeypatch.setenv("NARS_CACHE", str(tmp_path / "cache"))


def succeed(command: str) -> None:
    assert main(command.split()) == 0


def numbers(command: str, capsys: pytest.CaptureFixture[str]) -> Any:
    """What a command prints with ``--json``."""
    capsys.readouterr()
    succeed(f"{command} --json")
    return json.loads(capsys.readouterr().out)


@pytest.mark.parametrize("run", ["finished", "front"])
def test_a_run_is_reported_and_exported(run: str) -> None:
    succeed(f"report --run {run}")
    assert (Path(run) / "report.html").stat().st_size > 10_000
    succeed(f"export best-arch --run {run} -o again.yaml")
    again = nars.Candidate.load("again.yaml")
    assert (again.data, again.num_classes) == ("digits", 10)
    assert again.on(None) == nars.Candidate.load(Path(run) / "best.yaml")
    for what in ("trials", "pareto"):
        succeed(f"export {what} --run {run} -o again.csv")
        before, after = pd.read_csv(Path(run) / f"{what}.csv"), pd.read_csv("again.csv")
        pd.testing.assert_frame_equal(after[before.columns], before)


def test_a_finished_search_has_nothing_left_to_do(capsys: pytest.CaptureFixture[str]) -> None:
    assert numbers(f"{FINISHED} --budget 12", capsys)["trials"] == {"complete": 12}
    assert main(f"{FINISHED} --budget 12 --seed 2".split()) == 2
    assert "finished holds another search: seed was 1, now 2" in capsys.readouterr().err


def test_a_larger_budget_continues_a_search(capsys: pytest.CaptureFixture[str]) -> None:
    before = pd.read_csv("finished/trials.csv")
    found = numbers(f"{FINISHED} --budget 14", capsys)
    assert found["spent"] == 14
    after = pd.read_csv("finished/trials.csv")
    assert len(after) == 14
    pd.testing.assert_frame_equal(after[before.columns][:12], before, check_dtype=False)


def test_a_killed_search_is_resumed(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Trial 1 was given back; trial 2, its repetition, still says that it runs, on another machine."""
    monkeypatch.setattr("nars.workers.liveness.SILENCE_SECONDS", 1.0)  # instead of two minutes
    found = numbers(f"{SEARCH} --budget 4 --run unfinished", capsys)
    assert found["trials"] == {"complete": 4, "void": 2}
    table = pd.read_csv("unfinished/trials.csv")
    assert table["state"].tolist() == ["complete", "void", "void", "complete", "complete", "complete"]
    begun = table[table["seed"] == table["seed"][1]]
    assert begun["state"].tolist() == ["void", "void", "complete"]  # one training, begun three times
    assert begun["recipe.lr"].nunique() == 1


def test_a_front_is_continued(capsys: pytest.CaptureFixture[str]) -> None:
    found = numbers(f"{SEARCH} --objective accuracy,macs --budget 5 --run front", capsys)
    assert found["trials"] == {"complete": 5}


def test_a_search_starts_from_what_a_run_measured(capsys: pytest.CaptureFixture[str]) -> None:
    found = numbers(f"{SEARCH} --warm-start finished --budget 1 --run warm", capsys)
    assert found["trials"] == {"complete": 1}


def test_documents_are_read(capsys: pytest.CaptureFixture[str]) -> None:
    assert nars.Space.load("micro.yaml") == search_spaces.space("micro")
    assert nars.Architecture.load("architecture.yaml") == search_spaces.published("fbnetv3_a0")
    best, recipe = nars.Candidate.load("best.yaml"), nars.Recipe.load("recipe.yaml")
    assert best.recipe == recipe
    assert nars.Space.load("space.yaml").encode(best)["recipe.lr"] == recipe.lr
    succeed("search --space micro.yaml --dry-run")
    succeed("search --space space.yaml --fix recipe=recipe.yaml --dry-run")
    assert numbers("profile architecture.yaml", capsys) == numbers("profile fbnetv3_a0", capsys)


def test_weights_of_a_classifier_are_used(capsys: pytest.CaptureFixture[str]) -> None:
    found = numbers("evaluate classifier.pt --data digits", capsys)
    assert found["accuracy"] == pytest.approx(237 / 359, abs=2.5 / 359)  # another CPU may turn an answer
    best = nars.Candidate.load("best.yaml").architecture
    assert isinstance(detector.build(best, num_classes=10, weights="classifier.pt"), detector.Detector)


def test_a_killed_training_is_resumed(capsys: pytest.CaptureFixture[str]) -> None:
    succeed("train best.yaml --data digits -o interrupted.pt --epochs 4")
    said = capsys.readouterr().err
    assert "epoch 1/4" not in said
    assert "epoch 4/4" in said
    assert not Path("interrupted.pt.checkpoint").exists()
    assert numbers("evaluate interrupted.pt --data digits", capsys)["accuracy"] > 0.5


def test_a_detector_finds_what_it_found(capsys: pytest.CaptureFixture[str]) -> None:
    before = pd.read_csv("detection/results.csv")["ap"].max()
    found = numbers("detect evaluate detection/weights/best.pt --data digit-scenes", capsys)
    assert found["ap"] == pytest.approx(before, abs=0.002)
    boxes = numbers("detect predict detection/weights/last.pt digit-scenes --threshold 0", capsys)
    assert {"image_id", "category_id", "bbox", "score"} <= boxes[0].keys()


def test_the_training_of_a_detector_is_resumed(capsys: pytest.CaptureFixture[str]) -> None:
    before = pd.read_csv("detection/results.csv")["ap"].max()
    found = numbers(f"{DETECTION} -o interrupted_detection", capsys)  # from step 100 of 200
    assert found["ap"] == pytest.approx(before, abs=0.01)
    again = numbers(f"{DETECTION} -o detection", capsys)
    assert again["epochs"] == 1
    assert again["ap"] == pytest.approx(before, abs=0.002)
