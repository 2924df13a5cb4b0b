"""What is remembered of finished trials, and only of those."""

from __future__ import annotations

import optuna
from optuna.trial import TrialState

from nars.sampling.memo import Memo


def test_a_finished_trial_is_computed_once_and_a_running_one_each_time() -> None:
    study = optuna.create_study()
    for _ in range(3):
        study.ask()
    study.tell(0, 1.0)
    calls: list[list[int]] = []

    def numbers(trials: object) -> list[int]:
        calls.append([trial.number for trial in trials])  # type: ignore[attr-defined]
        return calls[-1]

    memo = Memo(numbers)
    assert memo(study.get_trials(deepcopy=False)) == [0, 1, 2]
    study.tell(2, state=TrialState.FAIL)
    assert memo(study.get_trials(deepcopy=False)) == [0, 1, 2]
    assert memo(study.get_trials(deepcopy=False)) == [0, 1, 2]
    assert calls == [[0, 1, 2], [1, 2], [1]]


def test_trials_that_a_storage_makes_anew_each_time_do_not_pile_up() -> None:
    study = optuna.create_study()
    study.tell(study.ask(), 1.0)
    memo = Memo(lambda trials: [trial.number for trial in trials])
    for _ in range(3000):
        assert memo(study.get_trials(deepcopy=True)) == [0]
    assert len(memo._known) < 1100


def test_asking_for_few_trials_does_not_forget_the_many() -> None:
    study = optuna.create_study()
    for _ in range(1100):
        study.add_trial(optuna.create_trial(value=1.0))
    calls: list[int] = []

    def numbers(trials: object) -> list[int]:
        calls.extend(trial.number for trial in trials)  # type: ignore[attr-defined]
        return [trial.number for trial in trials]  # type: ignore[attr-defined]

    memo = Memo(numbers)
    trials = study.get_trials(deepcopy=False)
    for asked in (trials, trials[:1], [], trials):
        assert memo(asked) == [trial.number for trial in asked]
    assert len(calls) == 1100
