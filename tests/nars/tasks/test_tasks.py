"""The contract of every task. A new task is one more line in `TASKS_UNDER_TEST`."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import torch
from toys import squares

from detector.task import Detection
from nars import tasks
from nars.data import ImageData
from nars.data.arrays import from_arrays
from nars.errors import DataError, TrialError, UsageError
from nars.spec import Architecture, Block, Candidate, Recipe
from nars.tasks.base import Outcome, Task
from nars.tasks.classification import Classification
from nars.tensors import read_tensors
from nars.training.loop import Progress
from nars.training.metrics import Metric, named

CPU = torch.device("cpu")

ARCHITECTURE = Architecture(
    name="tiny",
    resolution=8,
    stages=(
        (Block(op="conv", channels=8, kernel=3, stride=2),),
        (Block(op="mbconv", channels=16, kernel=3, expansion=2, stride=2),),
        (Block(op="mbpool", channels=8, expansion=2),),
    ),
)
CANDIDATE = Candidate(architecture=ARCHITECTURE, recipe=Recipe(epochs=3, lr=0.05, dropout=0.1))


@dataclass
class Made:
    """A task, the same task with other test data, and the same task with other training data."""

    task: Task
    other_test: Task | None
    """None if the data has no test part."""
    other_train: Task


def _shades(seed: int, test_seed: int) -> ImageData:
    arrays = {}
    for split, count, start in (("train", 60, seed), ("val", 30, seed + 1), ("test", 30, test_seed)):
        rng = np.random.default_rng(start)
        labels = np.arange(count) % 3
        arrays[f"x_{split}"] = (
            rng.normal(60 + 60 * labels[:, None, None], 30, (count, 8, 8)).clip(0, 255).astype(np.uint8)
        )
        arrays[f"y_{split}"] = labels
    return from_arrays("shades", arrays)


def classification() -> Made:
    return Made(*(Classification(_shades(*seeds), CPU) for seeds in ((0, 5), (0, 6), (1, 5))))


def detection() -> Made:
    task, other_train = (Detection(squares(seed=seed), CPU) for seed in (0, 1))
    return Made(task, None, other_train)


TASKS_UNDER_TEST: list[Callable[[], Made]] = [classification, detection]


@pytest.fixture(params=TASKS_UNDER_TEST, ids=lambda make: make.__name__)
def made(request: pytest.FixtureRequest) -> Made:
    make: Callable[[], Made] = request.param
    return make()


def scores(outcome: Outcome) -> tuple[object, ...]:
    return outcome.score, outcome.epochs, outcome.curve


def test_outcome(made: Made) -> None:
    outcome = made.task.run(CANDIDATE, seed=0)
    assert outcome.epochs == len(outcome.curve) == 3
    assert 0 <= outcome.score <= 1
    assert outcome.curve[-1] == (1.0, outcome.score)
    assert [share for share, _ in outcome.curve] == sorted(share for share, _ in outcome.curve)
    assert outcome.seconds > 0


def test_same_seed_same_outcome(made: Made) -> None:
    outcomes = [made.task.run(CANDIDATE, seed=seed) for seed in (3, 4, 3)]
    assert scores(outcomes[0]) == scores(outcomes[2])
    assert scores(outcomes[0]) != scores(outcomes[1])


def test_test_images_are_not_looked_at(made: Made) -> None:
    if made.other_test is not None:
        assert scores(made.task.run(CANDIDATE, seed=0)) == scores(made.other_test.run(CANDIDATE, seed=0))


def test_stops_when_told(made: Made) -> None:
    seen: list[Progress] = []
    outcome = made.task.run(CANDIDATE, seed=0, on_epoch=lambda progress: seen.append(progress) is not None)
    assert (outcome.epochs, len(seen)) == (1, 1)
    assert outcome.curve == ((pytest.approx(1 / 3), outcome.score),)
    assert outcome.score == seen[0].score


def test_stopping_is_up_to_the_callers_exceptions_too(made: Made) -> None:
    class PrunedError(Exception):
        pass

    def prune(_: Progress) -> bool:
        raise PrunedError

    with pytest.raises(PrunedError):
        made.task.run(CANDIDATE, seed=0, on_epoch=prune)


def test_an_interrupted_training_goes_on_to_the_same_outcome_and_weights(made: Made, tmp_path: Path) -> None:
    seen: list[int] = []

    def interrupt(progress: Progress) -> bool:
        seen.append(progress.epoch)
        if seen == [1, 2]:
            raise KeyboardInterrupt
        return True

    whole = made.task.run(CANDIDATE, seed=0)
    with pytest.raises(KeyboardInterrupt):
        made.task.run(CANDIDATE, seed=0, on_epoch=interrupt, checkpoint=tmp_path / "checkpoint")
    repeated = CANDIDATE.replace(architecture=CANDIDATE.architecture.replace(name="trial9"))
    again = made.task.run(repeated, seed=0, on_epoch=interrupt, checkpoint=tmp_path / "checkpoint")
    assert seen == [1, 2, 3]
    assert scores(again) == scores(whole)
    states = []
    for name, outcome in (("whole.pt", whole), ("again.pt", again)):
        assert outcome.write is not None
        outcome.write(tmp_path / name)
        states.append(read_tensors(tmp_path / name)["state"])
    assert states[0].keys() == states[1].keys()
    assert all(torch.equal(tensor, states[1][name]) for name, tensor in states[0].items())


def test_fingerprint_tells_data_apart(made: Made) -> None:
    tasks = [task for task in (made.task, made.other_test, made.other_train) if task is not None]
    assert len({task.fingerprint for task in tasks}) == len(tasks)
    assert made.task.fingerprint == made.task.fingerprint


def test_describes_itself_in_a_line(made: Made) -> None:
    assert made.task.name in made.task.describe()
    assert "\n" not in made.task.describe()
    assert made.task.metric
    assert made.task.num_classes == 3
    assert made.task.device == CPU


@pytest.mark.parametrize("name", tasks.TASKS)
def test_every_task_opens_its_own_errors(name: str, tmp_path: Path) -> None:
    with pytest.raises(DataError):
        tasks.load(name, tmp_path, CPU)


def test_load() -> None:
    task = tasks.load("classification", "digits", CPU)
    assert isinstance(task, Classification)
    assert task.describe() == "classification of digits: 10 classes, 1079 train, 359 val, 359 test images"
    with pytest.raises(UsageError, match="unknown task 'classificaton': did you mean 'classification'"):
        tasks.load("classificaton", "digits", CPU)


# Scores


def test_the_score_is_the_metric_that_is_asked_for() -> None:
    task = classification().task
    ranked = task.scored_by(named("macro_f1"))
    assert (task.metric, ranked.metric) == ("accuracy", "macro_f1")
    assert ranked.fingerprint == task.fingerprint  # it is the same data
    outcome = ranked.run(CANDIDATE, seed=0)
    assert set(outcome.metrics) == {"accuracy", "balanced_accuracy", "macro_f1"}
    assert outcome.score == outcome.metrics["macro_f1"] == outcome.curve[-1][1]
    assert outcome.confusion is not None
    hits = sum(row[label] for label, row in enumerate(outcome.confusion))
    assert hits / 30 == outcome.metrics["accuracy"] != outcome.score


def test_a_task_refuses_metrics_that_it_has_not(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="the task detection is scored by ap, got 'macro_f1'"):
        detection().task.scored_by(named("macro_f1"))
    one = Classification(_shades(0, 5), CPU)
    one.data.val.labels[:] = 1
    with pytest.raises(UsageError, match="metric auroc needs two classes: the 30 images of val are all of"):
        one.scored_by(named("auroc"))
    with pytest.raises(UsageError, match="no metric 'acuracy': did you mean 'accuracy'"):
        tasks.load("classification", tmp_path, CPU, metric="acuracy")  # before the data are opened
    assert tasks.load("classification", "digits", CPU, metric="auroc").metric == "auroc"


def test_a_function_that_fails_in_a_training_fails_only_that_training() -> None:
    answers = iter([0.5, math.nan])  # the first is for the trial before anything is trained
    task = classification().task.scored_by(Metric("mine:f", lambda labels, probabilities: next(answers)))
    with pytest.raises(TrialError, match="metric mine:f returned nan on val, not a finite number"):
        task.run(CANDIDATE, seed=0)


def test_many_classes_leave_no_matrix_in_a_record() -> None:
    labels = np.arange(204) % 51
    images = np.zeros((204, 8, 8), np.uint8)
    task = Classification(from_arrays("many", {"x_train": images, "y_train": labels}), CPU)
    assert task.classes is None
    assert task.run(CANDIDATE, seed=0, on_epoch=lambda progress: False).confusion is None
    assert classification().task.classes == ("0", "1", "2")
