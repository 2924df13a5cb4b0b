"""Exports of a search have the weights that were trained, or say how to get them."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from stub_task import TINY

from nars.cli import main
from nars.errors import RunError
from nars.networks.weights import Weights, load_weights
from nars.runs.run import open_run
from nars.searching.confirm import measured
from nars.searching.results import winner
from nars.spec import Candidate
from nars.workers.exported import exported


@pytest.fixture(scope="module")
def searched(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("searched")
    (folder / "tiny.yaml").write_text(TINY.replace("epochs: {low: 2, high: 5}", "epochs: 1"))
    command = ["search", "--space", str(folder / "tiny.yaml"), "--data", "digits", "--budget", "4"]
    command += ["--sampler", "random", "--workers", "1", "--run", str(folder / "first"), "--json"]
    assert main([*command, "--finish", "2"]) == 0
    return folder / "first"


@pytest.fixture
def run(searched: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the run folder called first, in the working folder."""
    monkeypatch.chdir(tmp_path)
    shutil.copytree(searched, "first")
    return Path("first")


def outputs(file: Path, images: torch.Tensor) -> torch.Tensor:
    outputs: torch.Tensor = torch.export.load(file).module()(images)
    return outputs


def logits(trained: Weights, images: torch.Tensor) -> torch.Tensor:
    """The answers for images in 0..1, which the exported file normalizes itself."""
    mean, std = (torch.tensor(values)[:, None, None] for values in (trained.mean, trained.std))
    answers: torch.Tensor = trained.network()((images - mean) / std)
    return answers


def test_the_winner_is_exported_as_it_was_trained(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    command = ["export", "best-arch", "--run", "first", "--format", "pt2", "-o", "best.pt2"]
    assert main([*command, "--json"]) == 0
    exported = json.loads(capsys.readouterr().out)
    trained = load_weights(run / "weights" / "best.pt")
    assert trained.classes == tuple("0123456789")
    side = exported["resolution"]
    images = torch.rand(2, 3, side, side)
    with torch.no_grad():
        assert torch.allclose(outputs(Path("best.pt2"), images), logits(trained, images), atol=1e-5)


@pytest.mark.parametrize(
    ("words", "file"),
    [(("best-arch",), "best.yaml"), (("pareto",), "front.csv"), (("trials",), "trials.csv")],
)
def test_a_file_is_written_beside_json(
    words: tuple[str, ...], file: str, run: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["export", *words, "--run", "first", "-o", file]) == 0
    expected = Path(file).read_text()
    Path(file).unlink()
    capsys.readouterr()
    assert main(["export", *words, "--run", "first", "-o", file, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)
    assert Path(file).read_text() == expected


def test_the_front_is_exported_each_as_it_was_trained(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for form in ("yaml", "pt2"):
        command = ["export", "pareto", "--run", "first", "--format", form, "-o", "front", "--json"]
        assert main(command) == 0
        files = json.loads(capsys.readouterr().out)
        names = {Path(file).stem for file in files}
        assert names == {file.stem for file in (run / "weights" / "front").iterdir()}
    for file in files:
        trained = load_weights(run / "weights" / "front" / f"{Path(file).stem}.pt")
        candidate = Candidate.load(Path(file).with_suffix(".yaml"))
        assert candidate.recipe == trained.candidate.recipe
        side = candidate.architecture.resolution
        images = torch.rand(2, 3, side, side)
        with torch.no_grad():
            assert torch.allclose(outputs(Path(file), images), logits(trained, images), atol=1e-5)


def test_weights_that_are_only_in_the_store_are_found(run: Path) -> None:
    shutil.rmtree(run / "weights")
    assert main(["export", "best-arch", "--run", "first", "--format", "pt2", "-o", "best.pt2"]) == 0


def test_without_weights_the_command_that_makes_them_is_named(
    run: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for folder in ("weights", "artifacts"):
        shutil.rmtree(run / folder)
    command = ["export", "best-arch", "--run", "first", "--format", "pt2", "-o", "best.pt2"]
    capsys.readouterr()
    assert main(command) == 2
    error = capsys.readouterr().err
    assert len(error.splitlines()) == 1
    assert "nars train first/best.yaml -o first/weights/best.pt makes them" in error
    assert not Path("best.pt2").exists()
    assert main([*command, "--max-params", "1M"]) == 2
    assert "nars train first/best.yaml" in capsys.readouterr().err  # within the limit, it is the winner
    assert main([*command, "--random-weights"]) == 0
    assert main(["train", "first/best.yaml", "-o", "first/weights/best.pt", "--epochs", "1"]) == 0
    assert main(command) == 0
    capsys.readouterr()
    assert main(["export", "pareto", "--run", "first", "--format", "pt2", "-o", "front"]) in (0, 2)
    error = capsys.readouterr().err
    if error:  # the front has more than the winner
        assert ".yaml -o trial" in error
        assert "--random-weights" in error


def test_weights_that_were_inherited_are_made_from_the_same_reference(run: Path) -> None:
    for folder in ("weights", "artifacts"):
        shutil.rmtree(run / folder)
    opened = open_run(run)
    study = opened.study()
    best = winner(study, opened.config)
    opened = replace(opened, config=opened.config.replace(init="efficientnet_lite0"))
    for parent in ("efficientnet_lite0", "first/weights/reference.pt"):
        with pytest.raises(RunError, match=f"-o first/weights/best.pt --init {parent} makes them"):
            exported(opened, study, best, "onnx", Path("best.onnx"), random_weights=False)
        (run / "weights").mkdir(exist_ok=True)
        (run / "weights" / "reference.pt").touch()


def test_an_older_winner_of_the_folder_is_not_taken_for_the_winner(
    run: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.rmtree(run / "artifacts")
    best = load_weights(run / "weights" / "best.pt").candidate.architecture
    others = [
        file
        for file in (run / "weights" / "front").iterdir()
        if load_weights(file).candidate.architecture.replace(name=best.name) != best
    ]
    shutil.copy(others[0], run / "weights" / "best.pt")
    shutil.rmtree(run / "weights" / "front")
    assert main(["export", "best-arch", "--run", "first", "--format", "pt2", "-o", "best.pt2"]) == 2
    assert "keeps no weights of trial" in capsys.readouterr().err


def test_detectors_are_exported_by_another_command(run: Path) -> None:
    opened = open_run(run)
    study = opened.study()
    best = winner(study, opened.config)
    detectors = replace(opened, config=opened.config.model_copy(update={"task": "detection"}))
    command = "nars detect export first/weights/best.pt --format onnx -o best.onnx"
    with pytest.raises(RunError, match=command):
        exported(detectors, study, best, "onnx", Path("best.onnx"), random_weights=False)
    other = next(each for each in measured(study.get_trials()) if each != best)
    file = f"first/weights/front/trial{other.numbers[0]}.pt"
    with pytest.raises(RunError, match=f"nars detect export {file} --format onnx"):
        exported(detectors, study, other, "onnx", Path("other.onnx"), random_weights=False)


def test_finish_is_shown_and_not_done_twice(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    scores = json.loads((run / "weights" / "finished.json").read_text())
    before = (run / "weights" / "finished.pt").stat().st_mtime_ns
    space = str(run.resolve().parent / "tiny.yaml")
    Path(space).write_text(TINY.replace("epochs: {low: 2, high: 5}", "epochs: 1"))
    command = ["search", "--space", space, "--data", "digits", "--budget", "4", "--sampler", "random"]
    command += ["--workers", "1", "--run", "first"]
    assert main([*command, "--finish", "2"]) == 0
    shown = capsys.readouterr()
    assert f"finished in 2 epochs: val accuracy {scores['val']:.4f}, test accuracy" in shown.out
    assert (run / "weights" / "finished.pt").stat().st_mtime_ns == before
    assert main([*command, "--finish", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["finished"]["epochs"] == 1
