"""A trial whose worker is gone is trained again, once, completely, with its seed."""

from __future__ import annotations

import pytest
from optuna.study import Study
from optuna.trial import TrialState
from owned_trials import DEAD, HERE, ask, empty
from stub_task import SPACE

from nars.runs.budget import Budget
from nars.trials import INTERRUPTED, Record
from nars.workers import requeue
from nars.workers.requeue import bury, interrupt, needless, reap


@pytest.fixture
def study() -> Study:
    return empty()


def test_the_dead_are_repeated_once_with_genotype_and_seed(study: Study) -> None:
    mine, dead = ask(study, HERE), ask(study, DEAD, seed=77)
    assert reap(study, SPACE) == [dead.number]
    assert reap(study, SPACE) == []
    states = [trial.state for trial in study.trials]
    assert states == [TrialState.RUNNING, TrialState.FAIL, TrialState.WAITING]
    voided, repetition = study.trials[1:]
    assert (Record.of(voided).void, Record.of(voided).reason) == (INTERRUPTED, "interrupted")
    assert repetition.user_attrs == {"repeats": dead.number, "seed": 77}
    assert Budget(9).spent(study.trials) == 1
    again = study.ask(dict(SPACE.distributions))
    assert (again.number, again.params) == (2, dead.params)
    assert mine.params != dead.params


def test_a_repetition_that_dies_too_is_repeated_too(study: Study) -> None:
    params = ask(study, DEAD, seed=5).params
    for _ in range(3):
        assert len(reap(study, SPACE)) == 1
        again = ask(study, DEAD)
        assert again.params == params
        assert Record.of(again).seed == 5
    assert Budget(9).spent(study.trials) == 1


def test_a_kill_while_giving_back_doubles_nothing(study: Study, monkeypatch: pytest.MonkeyPatch) -> None:
    """The kill comes after the repetition is queued and before the trial is ended."""
    ask(study, DEAD)
    with monkeypatch.context() as during:
        during.setattr(requeue, "write", _interrupt)
        with pytest.raises(KeyboardInterrupt):
            reap(study, SPACE)
    assert [trial.state for trial in study.trials] == [TrialState.RUNNING, TrialState.WAITING]
    reap(study, SPACE)
    assert [trial.state for trial in study.trials] == [TrialState.FAIL, TrialState.WAITING]


def _interrupt(*_: object) -> None:
    raise KeyboardInterrupt


def test_half_a_genotype_is_not_repeated(study: Study) -> None:
    """The rest would come from another proposal, and the two together may exceed a limit."""
    half = ask(study, DEAD, whole=False)
    half.suggest_int("resolution", 8, 16, step=4)
    assert reap(study, SPACE) == [half.number]
    assert [trial.state for trial in study.trials] == [TrialState.FAIL]
    assert Record.of(study.trials[0]).void == INTERRUPTED


def test_a_trial_given_back_by_hand(study: Study) -> None:
    trial = ask(study, HERE)
    interrupt(study, study.trials[trial.number], SPACE)
    assert [each.state for each in study.trials] == [TrialState.FAIL, TrialState.WAITING]


def test_the_second_worker_that_dies_with_a_trial_makes_it_fail(study: Study) -> None:
    first = ask(study, DEAD, seed=3)
    bury(study, study.trials[0], SPACE, "died with SIGKILL")
    again = ask(study, DEAD)
    assert (again.params, Record.of(again).seed) == (first.params, 3)
    bury(study, study.trials[1], SPACE, "died with SIGKILL (most likely out of memory)")
    assert [trial.state for trial in study.trials] == [TrialState.FAIL] * 2
    reason = "two workers died with it, the last one died with SIGKILL (most likely out of memory)"
    assert Record.of(study.trials[1]).reason == reason
    assert Budget(9).spent(study.trials) == 1


def test_a_worker_that_was_stopped_is_not_held_against_its_trial(study: Study) -> None:
    ask(study, DEAD)
    bury(study, study.trials[0], SPACE, "died with SIGKILL")
    for number in (1, 2):
        ask(study, DEAD)
        interrupt(study, study.trials[number], SPACE)
    assert Record.of(study.trials[3]).deaths == 1
    assert study.trials[3].state == TrialState.WAITING


def test_a_repetition_that_was_only_just_taken_is_repeated(study: Study) -> None:
    """Its worker died before it wrote down the parameters, which are those it was queued with."""
    params = ask(study, DEAD, seed=5).params
    reap(study, SPACE)
    taken = study.ask()
    taken.set_user_attr("worker", DEAD)
    assert taken.params == {}
    reap(study, SPACE)
    again = ask(study, HERE)
    assert (again.params, Record.of(again).seed) == (params, 5)


def test_of_two_repetitions_only_the_first_trains(study: Study) -> None:
    """Two processes saw the same death."""
    dead = ask(study, DEAD)
    for _ in range(2):
        study.enqueue_trial(dead.params, user_attrs={"repeats": dead.number})
    first, second = (ask(study, HERE) for _ in range(2))
    assert needless(study, first, study.trials[:1]) is None
    assert needless(study, second, study.trials[:2]) == "trial 1 repeats trial 0"
    assert Record.of(study.trials[0]).void == INTERRUPTED


def test_a_trial_that_has_ended_after_all_is_not_repeated(study: Study) -> None:
    thought_dead = ask(study, HERE)
    study.enqueue_trial(thought_dead.params, user_attrs={"repeats": 0})
    study.tell(thought_dead, 1.0)
    again = ask(study, HERE)
    assert needless(study, again, study.trials[:1]) == "trial 0 has ended after all"
    interrupt(study, study.trials[0], SPACE)  # whoever comes late changes nothing
    assert study.trials[0].value == 1.0
