"""The budget of a search: met exactly, by one worker and beside others."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import optuna
import pytest
from optuna.trial import TrialState
from stub_task import StubTask, config, search, trials

from nars.runs.budget import Budget
from nars.runs.run import start_run
from nars.searching.wrappers import SearchSampler
from nars.trials import REFUSED, Record
from nars.workers.search import Search
from nars.workers.worker import work

CHEAP = {"early_stopping": False}


@pytest.mark.parametrize("budget", ["7", "33ep"])
def test_a_budget_is_never_over_by_more_than_a_trial(
    stub: type[StubTask], tmp_path: Path, budget: str
) -> None:
    given = config(budget, sampler="random", **CHEAP)
    study = search(given, tmp_path / "run")
    spent = given.total.spent(trials(study))
    assert given.total.amount <= spent < given.total.amount + (1 if budget == "7" else 5)
    assert given.total.spent(trials(study)[:-1]) < given.total.amount
    search(given, tmp_path / "run")
    assert len(stub.trained) == len(trials(study))  # the same command again finds nothing left to do


def test_a_budget_of_time_ends_a_training_in_its_middle(stub: type[StubTask], tmp_path: Path) -> None:
    clock: list[Any] = []

    def hook(nth: int, epoch: int) -> None:
        import time

        clock.append(nth)
        time.sleep(0.06)

    stub.hook = hook
    study = search(config("1s", sampler="random", **CHEAP), tmp_path / "run")
    done = trials(study)
    assert [trial.state for trial in done[:-1]] == [TrialState.COMPLETE] * (len(done) - 1)
    # A training is at most five epochs of 0.06 s, so without being ended it would exceed by no more.
    assert 1 <= config("1s").total.spent(done) < 1 + 5 * 0.06 + 0.5
    if done[-1].state == TrialState.PRUNED:
        assert "out of time" in Record.of(done[-1]).reason


def test_a_larger_budget_goes_on(stub: type[StubTask], tmp_path: Path) -> None:
    search(config("6", sampler="random"), tmp_path / "run")
    study = search(config("9", sampler="random"), tmp_path / "run")
    assert len(trials(study)) == len(stub.trained) == 9
    search(config("4", sampler="random"), tmp_path / "run")
    assert len(stub.trained) == 9


def test_the_budget_is_shared_with_whoever_else_works(stub: type[StubTask], tmp_path: Path) -> None:
    """The trials of another worker, which asks while ours trains, count against the budget, too."""
    given = config("6", sampler="random")
    run = start_run(tmp_path / "run", given, None)
    study = run.study()

    def hook(nth: int, epoch: int) -> None:
        if nth in (1, 2) and epoch == 0:
            other = optuna.load_study(study_name=run.name, storage=run.study()._storage)
            trial = other.ask(dict(given.space.distributions))
            trial.set_user_attr("worker", "elsewhere:1:1.0")
            trial.set_user_attr("epochs", 2)
            other.tell(trial, 0.1)

    stub.hook = hook
    work(Search.of(study, given, stub.open("none", "cpu")), study)
    assert len(stub.trained) == 4
    assert len(trials(study)) == 6


def test_a_trial_asked_for_when_the_budget_is_gone_is_void(stub: type[StubTask], tmp_path: Path) -> None:
    given = config("3", sampler="random")
    run = start_run(tmp_path / "run", given, None)
    asked: list[int] = []
    original = Budget.is_spent

    def late(self: Any, trials: Any) -> bool:
        """Look before the other workers have spent the budget, so the trial is asked for after that."""
        if len(stub.trained) == 3 and not asked:
            asked.append(1)
            return False
        return original(self, trials)

    with pytest.MonkeyPatch.context() as during:
        during.setattr(Budget, "is_spent", late)
        study = run.study()
        work(Search.of(study, given, stub.open("none", "cpu")), study)
    voided = run.study().trials[-1]
    assert (voided.state, Record.of(voided).void) == (TrialState.FAIL, REFUSED)
    assert Record.of(voided).reason == "the budget was spent by other workers"
    assert len(stub.trained) == 3


def test_epochs_of_a_proposal_are_reserved_before_it_is_known(stub: type[StubTask], tmp_path: Path) -> None:
    """Another worker that asks in the meantime must not take them, too."""
    given = config("50ep")
    study = start_run(tmp_path / "run", given, None).study()
    signature = Record(worker="me", epochs=given.space.most_epochs)
    study.sampler = SearchSampler.of(given, given.space, signature)
    study.ask()
    assert given.total.spent(study.trials) == 5  # the longest training of the space
