"""Trainings that start from a parent: the task, and the commands that take ``--init``."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

import nars
from nars.cli import main
from nars.data import ImageData, load
from nars.errors import WeightsError
from nars.networks.weights import load_weights
from nars.parents.inherit import Inheritance
from nars.parents.parent import Parent
from nars.parents.sources import parent
from nars.parents.start import as_seen_by, judged, start
from nars.spec import Architecture, Block, Candidate, Recipe
from nars.tasks.classification import Classification
from nars.training.evaluation import evaluate

CPU = torch.device("cpu")
CANDIDATE = Candidate(
    architecture=Architecture(
        name="small",
        resolution=12,
        stages=[
            [Block(op="conv", channels=16, kernel=3)],
            [Block(op="mbconv", channels=16, kernel=3, expansion=2, stride=2)],
            [Block(op="mbconv", channels=32, kernel=3, expansion=2, stride=2)],
            [Block(op="conv", channels=64, kernel=1)],
        ],
    ),
    recipe=Recipe(epochs=6, lr=0.1),
    data="digits",
)


@pytest.fixture(scope="module")
def digits() -> ImageData:
    return load("digits")


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Weights of a network that tells digits apart."""
    folder = tmp_path_factory.mktemp("parent")
    (folder / "small.yaml").write_text(CANDIDATE.to_yaml())
    assert main(["train", str(folder / "small.yaml"), "-o", str(folder / "small.pt"), "--json"]) == 0
    return folder / "small.pt"


@pytest.fixture
def origin(trained: Path) -> Parent:
    found = parent(str(trained))
    assert found is not None
    return found


def test_data_are_seen_as_the_parent_saw_its_own(digits: ImageData, origin: Parent) -> None:
    other = Parent(
        origin.architecture, origin.state, origin.classes, (0.1, 0.2, 0.3), (0.4, 0.5, 0.6), "other"
    )
    seen = as_seen_by(other, digits)
    assert seen.mean.tolist() == pytest.approx([0.1, 0.2, 0.3])
    assert seen.std.tolist() == pytest.approx([0.4, 0.5, 0.6])
    assert seen.fingerprint == digits.fingerprint
    assert digits.normalization is None


def test_a_start_keeps_what_the_parent_knows(digits: ImageData, origin: Parent, trained: Path) -> None:
    architecture = CANDIDATE.architecture
    model = nars.build(architecture, 10)
    inherited = start(model, architecture, origin, as_seen_by(origin, digits), CPU)
    assert inherited.share == 1
    kept = evaluate(model, digits, "val", resolution=12, device=CPU).accuracy
    narrower = architecture.replace(
        stages=[
            *architecture.stages[:2],
            [architecture.stages[2][0].replace(expansion=1.5)],
            *architecture.stages[3:],
        ]
    )
    smaller = nars.build(narrower, 10)
    share = start(smaller, narrower, origin, as_seen_by(origin, digits), CPU).share
    assert share == 1  # of what is left
    cut = evaluate(smaller, digits, "val", resolution=12, device=CPU).accuracy
    assert kept == pytest.approx(load_weights(trained).metrics["val_accuracy"], abs=0.01)
    assert cut > kept / 2 > 0.4  # chance is 0.1


def test_the_task_trains_from_a_parent(digits: ImageData, origin: Parent) -> None:
    once = CANDIDATE.replace(recipe=CANDIDATE.recipe.replace(epochs=1))
    scores = [Classification(digits, CPU, each).run(once, seed=0).score for each in (None, origin, origin)]
    assert scores[1] == scores[2]
    assert scores[1] > scores[0]
    assert Classification(digits, CPU, origin).fingerprint == Classification(digits, CPU).fingerprint


def test_channels_are_judged_once_and_only_if_some_are_left_out(
    digits: ImageData, origin: Parent, monkeypatch: pytest.MonkeyPatch
) -> None:
    images, same = as_seen_by(origin, digits), CANDIDATE.architecture
    narrow = same.replace(stages=[*same.stages[:3], [same.stages[3][0].replace(channels=32)]])
    assert judged(origin, same.replace(resolution=8), images, CPU) is origin
    measured = judged(origin, narrow, images, CPU)
    assert measured.importance["stages.3.0.output"].shape == (64,)
    assert judged(measured, narrow, images, CPU) is measured
    with pytest.raises(WeightsError, match="small has 3 stages, its parent small has 4"):
        judged(origin, same.replace(stages=same.stages[:-1]), images, CPU)

    given: list[Parent] = []

    def recorded(model: nn.Module, architecture: Architecture, parent: Parent, *others: Any) -> Inheritance:
        given.append(parent)
        return start(model, architecture, parent, *others)

    monkeypatch.setattr("nars.tasks.classification.start", recorded)
    task = Classification(digits, CPU, origin)
    once = CANDIDATE.replace(recipe=CANDIDATE.recipe.replace(epochs=1), architecture=narrow)
    for seed in (0, 1):
        task.run(once, seed=seed)
    assert given[0] is given[1]
    torch.testing.assert_close(dict(given[0].importance), dict(measured.importance))


def test_the_task_foretells_less_of_a_network_that_keeps_less(digits: ImageData, origin: Parent) -> None:
    task, whole = Classification(digits, CPU, origin), CANDIDATE.architecture
    narrow = whole.replace(stages=[*whole.stages[:3], [whole.stages[3][0].replace(channels=8)]])
    values = [task.foretell(CANDIDATE.replace(architecture=each)) for each in (whole, narrow, whole)]
    assert values[0] == values[2]
    assert values[0] is not None
    assert values[1] is not None
    assert 1 > values[0] > values[1] + 0.05 > 0.05
    assert Classification(digits, CPU).foretell(CANDIDATE) is None


def test_train_and_profile_take_a_parent(
    trained: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    candidate = str(trained.with_name("small.yaml"))
    shown = []
    for init in ("none", str(trained)):
        output = str(tmp_path / "child.pt")
        command = ["train", candidate, "-o", output, "--epochs", "1", "--init", init]
        assert main([*command, "--json"]) == 0
        shown.append(json.loads(capsys.readouterr().out))
        assert main(["evaluate", output, "--json"]) == 0
        assert json.loads(capsys.readouterr().out)["accuracy"] == shown[-1]["test_accuracy"]
    assert shown[1]["val_accuracy"] > shown[0]["val_accuracy"]
    assert load_weights(tmp_path / "child.pt").mean == load_weights(trained).mean
    assert main(command) == 0
    assert f"inherited 100.0% of the parameters from {trained}" in " ".join(capsys.readouterr().err.split())

    profile = ["profile", candidate, "--classes", "10", "--init", str(trained)]
    assert main([*profile, "--json"]) == 0
    costs = json.loads(capsys.readouterr().out)
    assert costs["inherited"] == pytest.approx(1 - 650 / costs["params"])  # all but the classifier
    assert main(profile) == 0
    assert f"of its parameters from {trained}" in capsys.readouterr().out
    assert main(["profile", candidate, "--json"]) == 0
    assert "inherited" not in json.loads(capsys.readouterr().out)


@pytest.mark.parametrize(
    ("init", "message"),
    [
        ("eficientnet_lite0", "no parent is called 'eficientnet_lite0': did you mean 'efficientnet_lite0'?"),
        ("missing.pt", "cannot read missing.pt"),
        ("efficientnet_lite0", "small has 4 stages, its parent efficientnet_lite0 has 7"),
    ],
)
@pytest.mark.parametrize("command", ["train", "profile"])
def test_a_mistake_is_one_line(
    command: str, init: str, message: str, trained: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([command, str(trained.with_name("small.yaml")), "--init", init]) == 2
    error = capsys.readouterr().err
    assert message in error
    assert len(error.strip().splitlines()) == 1


def test_a_checkpoint_with_other_pixels_is_of_another_training(
    digits: ImageData, origin: Parent, tmp_path: Path
) -> None:
    from nars.errors import RunError
    from nars.training.loop import Outputs, train

    def begin(data: ImageData) -> None:
        train(
            nars.build(CANDIDATE.architecture, 10),
            data,
            CANDIDATE.recipe.replace(epochs=1),
            resolution=12,
            device=CPU,
            seed=0,
            outputs=Outputs(checkpoint=tmp_path / "checkpoint"),
        )

    begin(digits)
    with pytest.raises(RunError, match="of another training: normalization was None, is"):
        begin(as_seen_by(origin, digits))
