"""Trainings of a search that end early, by the search itself or by pruners of Optuna."""

from __future__ import annotations

from pathlib import Path

import pytest
from optuna.trial import TrialState
from stub_task import FEW, StubTask, config, search, trials

from nars.errors import UsageError
from nars.searching.early_stopping import TAUGHT_BY
from nars.searching.pruners import PRUNERS, make_pruner
from nars.trials import Record

CHEAP = {"early_stopping": False}


def test_a_front_with_early_stopping(stub: type[StubTask], tmp_path: Path) -> None:
    """Optuna takes no intermediate values of several objectives, so stopped trials have estimates instead."""
    study = search(config("40", objectives=("accuracy", "macs"), sampler="random"), tmp_path / "run")
    states = [trial.state for trial in trials(study)]
    assert states.count(TrialState.PRUNED) > 0
    for trial in trials(study):
        if trial.state == TrialState.PRUNED:
            accuracy, macs = Record.of(trial).estimate
            assert 0 < accuracy < 1
            assert macs == Record.of(trial).measured["macs"]
            assert ": not among " in Record.of(trial).reason
            assert Record.of(trial).epochs < stub.trained[trial.number][0].recipe.epochs
    assert len((tmp_path / "run" / "pareto.csv").read_text().splitlines()) > 3


def test_early_stopping_of_one_objective_waits_for_those_that_teach_it(
    stub: type[StubTask], tmp_path: Path
) -> None:
    study = search(config("40", sampler="random"), tmp_path / "run")
    inner = [trial.number for trial in trials(study) if trial.state == TrialState.PRUNED]
    assert inner
    assert min(inner) >= TAUGHT_BY
    for number in inner:
        trial = study.trials[number]
        assert Record.of(trial).estimate[0] == pytest.approx(
            2 * Record.of(trial).measured["accuracy"] / (1 + Record.of(trial).curve[-1][0]), abs=0.02
        )
    assert {trial.state for trial in trials(study) if Record.of(trial).confirms is not None} == {
        TrialState.COMPLETE
    }
    without = search(config("40", sampler="random", early_stopping=False), tmp_path / "without")
    assert {trial.state for trial in trials(without)} == {TrialState.COMPLETE}


@pytest.mark.parametrize("name", PRUNERS)
def test_pruners_of_optuna(stub: type[StubTask], tmp_path: Path, name: str) -> None:
    study = search(config("24", pruner=name, sampler="random", **CHEAP), tmp_path / "run")
    pruned = [trial for trial in trials(study) if trial.state == TrialState.PRUNED]
    assert bool(pruned) == (name != "none")
    assert all(name in Record.of(trial).reason for trial in pruned)
    repeated = [trial.number for trial in trials(study) if Record.of(trial).confirms is not None]
    assert repeated == [21, 22, 23]  # the last part, and no candidate twice before, in brackets either


def test_no_such_pruner() -> None:
    with pytest.raises(UsageError, match="no pruner 'medain': did you mean 'median'"):
        make_pruner("medain")


def test_long_trainings_report_each_percent_once(stub: type[StubTask], tmp_path: Path) -> None:
    space = FEW.replace(recipe={"epochs": 250})
    study = search(config("1", space=space, sampler="random"), tmp_path / "run")
    assert len(study.trials[0].intermediate_values) == 101
    assert len(Record.of(study.trials[0]).curve) == 250
