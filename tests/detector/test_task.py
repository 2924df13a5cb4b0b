"""Detection in the loop of a search; the contract of all tasks is in tests/nars/tasks/test_tasks.py."""

from __future__ import annotations

import re
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from toys import CLASSES, PARTS, model, squares

from detector.data.coco import write
from detector.model.cost import count
from detector.model.detector import Detector
from detector.space.candidate import DetectorCandidate
from detector.space.spaces import DEFAULT, space
from detector.task import Detection
from detector.weights.parents import DetectorParent
from detector.weights.saved import load_detector, save_detector
from nars import tasks
from nars.cli import main
from nars.errors import DataError, InfeasibleError, TrialError, UsageError
from nars.runs.request import SearchRequest
from nars.runs.run import open_run, start_run
from nars.searching.configure import configure, what_is_left
from nars.space.values import first_values
from nars.spec import Architecture, Block, Candidate, Recipe
from nars.studies import reference_record
from nars.trials import Record

CPU = torch.device("cpu")

SPACE = """
kind: space
schema: 1
name: tiny
resolution: 16
stages:
- - {name: stem, op: conv, kernel: 3, channels: {low: 8, high: 12, step: 4}, stride: 2}
- - {name: body, op: mbconv, kernel: 3, expansion: 2, channels: [8, 16], stride: 2}
- - {name: head, op: mbconv, kernel: 3, expansion: 2, channels: 16, stride: 2}
recipe:
  epochs: 2
  lr: {low: 0.05, high: 0.3, log: true}
"""


def test_loads_by_name(tmp_path: Path) -> None:
    write(squares(train=4, val=2), tmp_path / "squares")
    task = tasks.load("detection", tmp_path / "squares", CPU)
    assert isinstance(task, Detection)
    assert task.describe() == f"detection of {tmp_path / 'squares'}: 3 classes, 4 train, 2 val images"


def test_better_recipes_score_higher() -> None:
    architecture = Architecture(name="toy", resolution=16, stages=(*PARTS.trunk, PARTS.box))
    task = Detection(squares(), CPU)
    recipes = [Recipe(epochs=8, lr=lr, ema=True, ema_decay=0.9) for lr in (0.3, 1e-4)]
    candidates = [Candidate(architecture=architecture, recipe=recipe) for recipe in recipes]
    good, bad = (task.run(candidate, seed=0) for candidate in candidates)
    assert good.score > bad.score + 0.1


def test_a_detector_rehearses_its_training_step() -> None:
    architecture = Architecture(name="toy", resolution=16, stages=(*PARTS.trunk, PARTS.box))
    recipe = Recipe(epochs=8, lr=0.1, batch_size=2)
    step = Detection(squares(), CPU).rehearse(Candidate(architecture=architecture, recipe=recipe))
    logged = [step() for _ in range(6)]
    assert all(isinstance(values, torch.Tensor) and values.isfinite().all() for values in logged)
    assert not torch.equal(logged[0], logged[-1])  # it learns the same batch again and again


def test_an_architecture_that_makes_no_detector_fails_as_a_trial() -> None:
    flat = Architecture(name="flat", resolution=8, stages=((Block(op="conv", channels=8, kernel=3),),))
    with pytest.raises(TrialError, match=r"flat makes no detector: .* 2 downsamplings or more"):
        Detection(squares(), CPU).run(Candidate(architecture=flat), seed=0)


@pytest.mark.slow
def test_search_for_detectors(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("NARS_CACHE", str(tmp_path / "cache"))
    write(squares(train=8, val=4), tmp_path / "squares")
    (tmp_path / "tiny.yaml").write_text(SPACE)
    command = "search --task detection --data squares --space tiny.yaml --max-macs 2M --budget 2"
    command += " --workers 1 --run run"
    assert main(command.split()) == 0
    assert re.search(r"winner: val ap 0\.\d+ \(1 run; other val images 0\.\d+ to ", capsys.readouterr().out)
    assert "kind: detector_candidate" in (tmp_path / "run" / "best.yaml").read_text()
    assert main(["train", "run/best.yaml"]) == 2
    assert "best.yaml is a detector: `nars detect train run/best.yaml` takes it" in capsys.readouterr().err
    assert main(["profile", "run/best.yaml", "--classes", "3"]) == 0
    assert "M MACs at" in capsys.readouterr().out
    assert main(["detect", "train", "run/best.yaml", "-o", "trained", "--epochs", "1"]) == 0
    capsys.readouterr()
    _held_to_its_limit(tmp_path / "run")
    assert load_detector("run/weights/best.pt").data == "squares"
    assert main([*command.split(), "--finish", "1"]) == 0
    assert "finished in 1 epoch: val ap 0." in capsys.readouterr().out
    assert load_detector("run/weights/finished.pt").classes == load_detector("run/weights/best.pt").classes
    assert main(["export", "best-arch", "--run", "run", "--format", "onnx", "-o", "best.onnx"]) == 2
    assert "nars detect export run/weights/best.pt --format onnx" in capsys.readouterr().err


def _parent_file(folder: Path) -> Path:
    """A detector with random weights, as a file."""
    save_detector(folder / "parent.pt", model(), CLASSES)
    return folder / "parent.pt"


def _task_and_parent(folder: Path) -> tuple[Detection, DetectorParent]:
    """Detection of squares, and a detector with random weights to inherit from."""
    task = Detection(squares(), CPU)
    parent = task.parent_called(str(_parent_file(folder)))
    assert parent is not None
    return task, parent


def test_candidates_inherit_from_a_detector(tmp_path: Path) -> None:
    task, parent = _task_and_parent(tmp_path)
    heir = task.inheriting(parent)
    own = heir.suited(heir.space_of_parent(max_macs=2e6)).for_classes(3)
    assert own.sides == [32, 64]
    reference = heir.reference(own, None)
    assert (reference.resolution, reference.epochs) == (32, 48)
    candidate = heir.reference_candidate(reference.for_epochs(2))
    assert isinstance(candidate, DetectorCandidate)
    assert (candidate.settings.shortest, candidate.settings.anchor_ratios) == ((32,), (1.0,))
    assert heir.costs(candidate)["params"] == sum(each.numel() for each in model().parameters())
    outcome = heir.run(candidate, seed=0)
    assert outcome.epochs == 2
    assert outcome.metrics.keys() >= {"ap", "ap50", "ap75"}
    assert outcome.interval is None or outcome.interval[0] <= outcome.score + 1e-9
    assert outcome.write is not None
    outcome.write(tmp_path / "reference.pt")
    tuned = heir.parent_in(tmp_path / "reference.pt")
    assert tuned.classes == CLASSES
    child = own.decode(first_values(own.distributions))
    heir.inheriting(tuned).check_inherits(child)


def test_what_is_foretold_is_the_ap_before_a_training(tmp_path: Path) -> None:
    task, parent = _task_and_parent(tmp_path)
    heir = task.inheriting(parent)
    own = heir.suited(heir.space_of_parent(max_macs=2e6)).for_classes(3)
    untrained = heir.reference_candidate(heir.reference(own, None).for_epochs(1))
    outcome = heir.run(untrained.replace(recipe=untrained.recipe.replace(epochs=16)), seed=0)
    assert outcome.write is not None
    outcome.write(tmp_path / "tuned.pt")
    taught = task.inheriting(task.parent_in(tmp_path / "tuned.pt"))
    before, after = heir.foretell(untrained), taught.foretell(untrained)
    assert before is not None
    assert after is not None
    assert after > before + 0.05
    assert task.foretell(untrained) is None
    others = replace(parent, classes=("cat", "dog", "cow"))
    assert task.inheriting(others).foretell(untrained) is None


def test_a_search_learns_from_one_in_the_same_space(tmp_path: Path) -> None:
    """The task holds some dimensions, of a mask head without --mask, in the recorded space."""
    write(squares(train=4, val=2), tmp_path / "squares")
    request = SearchRequest(task="detection", data=tmp_path / "squares", space="fbnetv3od")
    start_run(tmp_path / "run", configure(request), None).study()
    with pytest.raises(UsageError, match="run has 0 scored trials"):  # and not: another space
        configure(request.replace(warm_start=(tmp_path / "run",)))
    with pytest.raises(UsageError, match=r"no warm start from .*: space fbnetv3od has changed: mask"):
        configure(request.replace(warm_start=(tmp_path / "run",), mask=True))


def test_freezing_is_searched_with_a_parent_only(tmp_path: Path) -> None:
    task, parent = _task_and_parent(tmp_path)
    own = space(DEFAULT)
    assert "recipe.freeze" not in task.suited(own).distributions
    assert task.inheriting(parent).suited(own).distributions["recipe.freeze"].high == 2


@pytest.mark.slow
@pytest.mark.parametrize("workers", [1, 2])
def test_search_from_a_detector(
    workers: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("NARS_CACHE", str(tmp_path / "cache"))
    write(squares(train=8, val=4), tmp_path / "squares")
    _parent_file(tmp_path)
    command = f"search --task detection --data squares --init parent.pt --max-macs 2M --workers {workers}"
    assert main(f"{command} --budget {2 * workers} --reference-epochs 2 --run run".split()) == 0
    said = capsys.readouterr()
    assert "--space auto takes from_toy: all of its networks inherit from parent.pt" in said.err
    assert "reference: val ap 0." in said.out
    assert "next: nars detect train run/best.yaml --data squares --init run/weights/reference.pt" in said.out
    run = open_run(tmp_path / "run")
    assert load_detector("run/weights/reference.pt").classes == CLASSES
    record = reference_record(run.study())
    assert record is not None
    assert record.epochs == 2
    _held_to_its_limit(tmp_path / "run")
    assert main(["detect", "train", "run/best.yaml", "--init", "run", "-o", "again", "--epochs", "1"]) == 0
    assert "inherited 100.0% of the parameters from run/weights/best.pt" in capsys.readouterr().err


def _held_to_its_limit(folder: Path) -> None:
    """Every trained candidate, built and counted, is within the limit of its search."""
    run = open_run(folder)
    trained = [trial for trial in run.study().get_trials() if trial.state.name == "COMPLETE"]
    assert trained
    for trial in trained:
        candidate = run.config.space.decode(trial.params)
        assert isinstance(candidate, DetectorCandidate)
        cost = count(Detector(candidate.architecture, 3, candidate.settings))
        assert cost.macs == Record.of(trial).measured["macs"] <= run.config.limits["macs"]


def _configured(tmp_path: Path, **words: Any) -> list[str]:
    """What a search on squares says before it begins."""
    folder = tmp_path / "squares"
    if not folder.exists():
        write(squares(train=8, val=4), folder)
    said: list[str] = []
    configure(SearchRequest(task="detection", data=str(folder), **words), say=said.append)
    return said


def test_a_search_says_which_boxes_it_will_miss(tmp_path: Path) -> None:
    said = _configured(tmp_path, init="none", fix=["arch=fbnetv3a_dsmask_c4"])
    assert not any("too small" in line for line in said)
    data = squares(train=8, val=4)
    first = data.train.annotations[0]._replace(box=(2.0, 2.0, 2.0, 2.0), area=4.0, segmentation=None)
    small = replace(data.train, annotations=(first, *data.train.annotations[1:]))
    shutil.rmtree(tmp_path / "squares")
    write(replace(data, train=small), tmp_path / "squares")
    said = _configured(tmp_path, init="none", fix=["arch=fbnetv3a_dsmask_c4"])
    assert any(
        "finest anchors, of 32 pixels, at the largest input size searched, 224" in line for line in said
    )


def test_a_search_for_masks_needs_a_segmentation_of_every_object(tmp_path: Path) -> None:
    data = squares(train=8, val=4)
    first = data.train.annotations[0]._replace(segmentation=None)
    without = replace(data.train, annotations=(first, *data.train.annotations[1:]))
    write(replace(data, train=without), tmp_path / "squares")
    with pytest.raises(DataError, match=r"annotation \d+ has no segmentation.* or leave out --mask"):
        _configured(tmp_path, init="none", mask=True)


def test_a_search_for_masks_starts_from_a_detector_without_a_mask_head(tmp_path: Path) -> None:
    write(squares(train=8, val=4), tmp_path / "squares")
    bare = Detector(PARTS.replace(mask=None), len(CLASSES), model().settings)
    save_detector(tmp_path / "bare.pt", bare, CLASSES)
    request = SearchRequest(
        task="detection", data=str(tmp_path / "squares"), init=str(tmp_path / "bare.pt"), mask=True
    )
    config = configure(request)
    task = Detection(squares(), CPU)
    parent = task.parent_called(str(tmp_path / "bare.pt"))
    assert parent is not None
    assert config.reference is not None
    reference = task.inheriting(parent).reference_candidate(config.reference)
    assert isinstance(reference, DetectorCandidate)
    assert reference.settings.mask
    assert task.inheriting(parent).wholes(config.space, config.reference)


def test_a_space_whose_stages_do_not_fit_the_parent_is_refused_in_one_line(tmp_path: Path) -> None:
    parent = str(_parent_file(tmp_path))
    with pytest.raises(UsageError, match=r"space fbnetv3od cannot inherit .* leave out --space") as error:
        _configured(tmp_path, init=parent, space="fbnetv3od")
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("limit", ["max_macs", "max_params"])
def test_a_limit_that_no_heir_meets_says_the_smallest(tmp_path: Path, limit: str) -> None:
    write(squares(train=8, val=4), tmp_path / "squares")
    parent = str(_parent_file(tmp_path))
    request = SearchRequest(task="detection", data=str(tmp_path / "squares"), init=parent, **{limit: 10.0})
    with pytest.raises(InfeasibleError, match=r"no candidate meets .* <= 10: the smallest possible is"):
        what_is_left(configure(request))
