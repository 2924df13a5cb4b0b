"""The reference of a search: fine-tuned once, by whoever comes first, and inherited from by all."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import optuna
import pytest
import torch
from optuna.study import Study
from optuna.trial import TrialState
from owned_trials import DEAD
from stub_task import StubTask, config, hook_at, trials

import nars
from nars.data import ImageSize
from nars.errors import NonFiniteLossError, RunError, StorageAwayError
from nars.internals import storage_of
from nars.networks.build import build
from nars.networks.weights import save_weights
from nars.parents.parent import Parent
from nars.runs import outage
from nars.runs.reference import fine_tuning, study_name
from nars.searching.summary import Summary
from nars.spec import Candidate, Recipe
from nars.studies import reference_record
from nars.tasks.base import Outcome, Task
from nars.tasks.reference import Reference, reference_of
from nars.training.loop import Progress
from nars.trials import Record, artifact_of, write
from nars.workers.turns import Turn
from search_spaces import published, space

CLASSES = tuple("abcdefghij")
SMALL = published("efficientnet_lite0").replace(resolution=32)
TUNING = Reference(resolution=16, recipe=Recipe(epochs=3))


class Inheriting(StubTask):
    """The stub, with a parent of other classes; its trainings leave weights with the classes of the data."""

    inherits = True
    images = ImageSize(64, 3)
    parents: list[str]
    """The source of the parent of every training."""

    def __init__(self, source: str, device: torch.device, parent: Parent | None = None) -> None:
        super().__init__(source, device)
        tensors: dict[str, torch.Tensor] = {}
        self.parent = parent or Parent(SMALL, tensors, ("other",), (0.5,) * 3, (0.5,) * 3, "the original")

    def inheriting(self, parent: Parent) -> Task:
        return Inheriting(self.source, self.device, parent)

    def run(
        self,
        candidate: Candidate,
        *,
        seed: int,
        on_epoch: Callable[[Progress], bool] | None = None,
        checkpoint: Path | None = None,
    ) -> Outcome:
        assert self.parent is not None
        self.parents.append(self.parent.source if len(self.parent.classes) == 1 else "the reference")
        if checkpoint is not None:
            checkpoint.write_text("an epoch")
        outcome = super().run(candidate, seed=seed, on_epoch=on_epoch)

        def write(path: Path) -> None:
            tiny = candidate.replace(architecture=space("micro").decode(nars_first()).architecture)
            half = torch.full((3,), 0.5)
            network = build(tiny.architecture, len(CLASSES))
            save_weights(path, network, tiny, {}, classes=CLASSES, mean=half, std=half)

        return Outcome(outcome.score, outcome.epochs, outcome.curve, outcome.seconds, write=write)


def nars_first() -> dict[str, Any]:
    from nars.space.values import first_values

    return first_values(space("micro").distributions)


@pytest.fixture
def inheriting(stub: type[StubTask], monkeypatch: pytest.MonkeyPatch) -> type[Inheriting]:
    monkeypatch.setitem(nars.tasks.TASKS, "stub", "test_reference:Inheriting")
    monkeypatch.setattr(nars.tasks, "load", lambda *words, **names: Inheriting("none", torch.device("cpu")))
    monkeypatch.setattr(Inheriting, "parents", [], raising=False)
    return Inheriting


def search(folder: Path, budget: str = "3", **changes: Any) -> Study:
    given = config(budget, **({"init": "the original", "reference": TUNING} | changes))
    return nars.search(given, folder).study


def test_it_is_trained_once_and_is_no_trial(inheriting: type[Inheriting], tmp_path: Path) -> None:
    study = search(tmp_path / "run")
    assert [candidate.architecture.name for candidate, _ in inheriting.trained] == [
        "reference",
        "trial0",
        "trial1",
        "trial2",
    ]
    tuned = inheriting.trained[0][0]
    assert (tuned.architecture.resolution, tuned.architecture.stages) == (16, SMALL.stages)
    assert tuned.recipe == TUNING.recipe
    assert inheriting.parents == ["the original", *["the reference"] * 3]
    assert len(trials(study)) == 3
    record = reference_record(study)
    assert record is not None
    assert record.epochs == 3
    assert record.measured.keys() == {"macs", "params", "accuracy"}
    assert (tmp_path / "run" / "weights" / "reference.pt").exists()
    search(tmp_path / "run", "5")
    assert len(inheriting.trained) == 6


def test_its_parent_stays_as_it_is_without_a_fine_tuning(
    inheriting: type[Inheriting], tmp_path: Path
) -> None:
    study = search(tmp_path / "run", reference=None)
    assert inheriting.parents == ["the original"] * 3
    assert reference_record(study) is None
    assert fine_tuning(study) is None


def test_a_parent_that_is_not_fine_tuned_stays_the_same(
    inheriting: type[Inheriting], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Candidates that inherit from different weights are not comparable."""
    search(tmp_path / "run", "1", reference=None)
    assert len(trials(search(tmp_path / "run", "2", reference=None))) == 2
    monkeypatch.setattr(Parent, "fingerprint", "another")
    with pytest.raises(RunError, match="the original is another parent than that of study run: bring"):
        search(tmp_path / "run", "3", reference=None)
    assert len(inheriting.trained) == 2


def test_it_is_charged_to_a_time_only(inheriting: type[Inheriting], tmp_path: Path) -> None:
    study = search(tmp_path / "run")
    record = reference_record(study)
    assert record is not None
    study.set_user_attr("reference", record.attributes | {"seconds": 100.0})
    run = nars.runs.run.open_run(tmp_path / "run")
    assert Summary.of(run, study).spent == 3
    timed = run.config.replace(budget="90s")
    budget = nars.runs.reference.charged(timed.total, study)
    assert budget.is_spent([])
    assert not timed.total.is_spent([])


def test_a_worker_that_died_leaves_its_checkpoint_to_the_next(
    inheriting: type[Inheriting], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def die(nth: int, epoch: int) -> None:
        if (nth, epoch) == (0, 2):
            raise KeyboardInterrupt

    monkeypatch.setattr(Inheriting, "hook", die)
    with pytest.raises(KeyboardInterrupt):
        search(tmp_path / "run")
    study = optuna.load_study(study_name="run", storage=storage(tmp_path / "run"))
    turns = fine_tuning(study)
    assert turns is not None
    assert [turn.state for turn in turns.trials] == [TrialState.FAIL]
    assert turns.trials[0].intermediate_values.keys() == {1, 2}
    assert artifact_of(turns.trials[0], "checkpoint") is not None

    found: list[str] = []
    run = Inheriting.run

    def noticing(self: Inheriting, *words: Any, checkpoint: Path | None = None, **names: Any) -> Outcome:
        if checkpoint is not None and not inheriting.parents[1:]:
            found.append(checkpoint.read_text())
        return run(self, *words, checkpoint=checkpoint, **names)

    monkeypatch.setattr(Inheriting, "run", noticing)
    study = search(tmp_path / "run")
    assert found == ["an epoch"]
    turns = fine_tuning(study)
    assert turns is not None
    assert [turn.state for turn in turns.trials] == [TrialState.FAIL, TrialState.COMPLETE]
    kept = list((tmp_path / "run" / "artifacts").iterdir())
    reference = artifact_of(study, "reference")
    assert reference is not None
    assert reference.id in [file.name for file in kept]
    checkpoints = [artifact_of(turn, "checkpoint") for turn in turns.trials]
    assert not {item.id for item in checkpoints if item} & {file.name for file in kept}


def test_a_checkpoint_of_another_parent_is_not_used(
    inheriting: type[Inheriting], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The file of the parent was replaced while the search was interrupted."""
    monkeypatch.setattr(Inheriting, "hook", hook_at(0, KeyboardInterrupt(), epoch=2))
    with pytest.raises(KeyboardInterrupt):
        search(tmp_path / "run")
    monkeypatch.setattr(Inheriting, "hook", None)
    run = Inheriting.run

    def refusing(self: Inheriting, *words: Any, checkpoint: Path | None = None, **names: Any) -> Outcome:
        if checkpoint is not None and checkpoint.exists():
            raise RunError(f"{checkpoint} is of another training: start was 'a', is 'b'")
        return run(self, *words, checkpoint=checkpoint, **names)

    monkeypatch.setattr(Inheriting, "run", refusing)
    assert reference_record(search(tmp_path / "run", "1")) is not None


def test_a_worker_that_was_thought_dead_waits_for_the_one_that_took_over(
    inheriting: type[Inheriting], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def take_over(nth: int, epoch: int) -> None:
        if (nth, epoch) == (0, 1):
            turns = optuna.load_study(study_name=study_name("run"), storage=storage(tmp_path / "run"))
            turns.tell(0, state=TrialState.FAIL)

    monkeypatch.setattr(Inheriting, "hook", take_over)
    study = search(tmp_path / "run", "1")
    turns = fine_tuning(study)
    assert turns is not None
    assert [turn.state for turn in turns.trials] == [TrialState.FAIL, TrialState.COMPLETE]
    assert [trial.state for trial in study.trials] == [TrialState.COMPLETE]


def test_the_fine_tuning_does_not_wait_for_a_storage_that_is_away(
    inheriting: type[Inheriting], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    away = [False]
    original = Turn.waiting_here

    def waiting_here(self: Turn) -> int:
        if away[0]:
            assert getattr(outage._mode, "impatient", False)
            raise StorageAwayError("the storage is away")
        return original(self)

    monkeypatch.setattr(Turn, "waiting_here", waiting_here)
    monkeypatch.setattr(Inheriting, "hook", lambda nth, epoch: away.__setitem__(0, epoch > 0))
    assert reference_record(search(tmp_path / "run", "1")) is not None


def test_the_turn_of_a_dead_worker_passes(inheriting: type[Inheriting], tmp_path: Path) -> None:
    study = optuna.create_study(study_name="before", storage=storage(tmp_path))
    turns = optuna.create_study(study_name=study_name("run"), storage=storage_of(study))
    write(turns, turns.ask(), Record(worker=DEAD))
    given = config("1", init="the original", reference=TUNING)
    nars.search(given, tmp_path / "run", str(tmp_path / "study.journal"))
    assert [turn.state for turn in turns.trials] == [TrialState.FAIL, TrialState.COMPLETE]


def test_a_fine_tuning_that_fails_ends_the_search(
    inheriting: type[Inheriting], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(nth: int, epoch: int) -> None:
        raise NonFiniteLossError("loss is nan")

    monkeypatch.setattr(Inheriting, "hook", fail)
    with pytest.raises(RunError, match="the original cannot be fine-tuned: loss is nan"):
        search(tmp_path / "run")


def test_a_reference_that_was_deleted_is_missed(inheriting: type[Inheriting], tmp_path: Path) -> None:
    study = search(tmp_path / "run", "1")
    reference = artifact_of(study, "reference")
    assert reference is not None
    (tmp_path / "run" / "artifacts" / reference.id).unlink()
    with pytest.raises(RunError, match=r"the reference of study run is not in .*: start another --run"):
        search(tmp_path / "run", "2")


@pytest.mark.parametrize(("side", "expected"), [(8, 16), (25, 24), (40, 40), (256, 40)])
def test_it_is_as_large_as_space_and_images_allow(side: int, expected: int) -> None:
    micro = space("micro")
    assert micro.sides == [16, 20, 24, 28, 32, 36, 40]
    assert reference_of(micro, side, 4).resolution == expected
    assert reference_of(micro, side, 4).recipe.epochs == 4
    assert micro.replace(resolution=24).sides == [24]
    assert micro.replace(resolution=[32, 16]).sides == [32, 16]


def storage(folder: Path) -> Any:
    from nars.runs.storage import open_storage

    return open_storage(folder / "study.journal")
