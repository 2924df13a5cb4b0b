"""Constraints that trials measure: learned from, whoever sets them, whatever they are."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import optuna
import pytest
from optuna.distributions import FloatDistribution
from optuna.study import Study
from optuna.trial import FrozenTrial, Trial, TrialState

from nars.errors import UsageError
from nars.predictors.gaussian import GaussianPredictor
from nars.sampling.feasibility import Feasibility
from nars.sampling.parameters.domain import Parameters
from nars.sampling.sampler import NarsSampler

LINE = Parameters({"x": FloatDistribution(0, 1)})
ROWS = np.linspace(0, 1, 11)[:, None]


def objective(trial: Trial) -> float:
    """Falls towards a forbidden corner; the best feasible value is 0.5 on the line x + y = 0.5."""
    x, y = trial.suggest_float("x", 0, 1), trial.suggest_float("y", 0, 1)
    return x + y


def excess(trial: Trial | FrozenTrial) -> float:
    return 0.5 - trial.params["x"] - trial.params["y"]


def measured(trial: Trial) -> float:
    value = objective(trial)
    trial.set_constraint("corner", excess(trial))
    return value


def feasible(study: Study) -> list[FrozenTrial]:
    return [trial for trial in study.trials if all(value <= 0 for value in trial.constraints.values())]


def check(study: Study) -> None:
    assert study.best_trial.value is not None
    assert study.best_trial.value < 0.53
    assert len(feasible(study)) >= 12
    assert len(feasible(study)[-1].constraints) == 1


def test_constraints_that_a_trial_sets_are_learned() -> None:
    study = optuna.create_study(sampler=NarsSampler(seed=0))
    study.optimize(measured, n_trials=25)
    check(study)


def test_constraints_of_a_function_are_learned() -> None:
    sampler = NarsSampler(seed=0, constraints_func=lambda trial: (excess(trial),))
    study = optuna.create_study(sampler=sampler)
    study.optimize(objective, n_trials=25)
    check(study)


def test_a_front_under_constraints() -> None:
    def both(trial: Trial) -> tuple[float, float]:
        value = measured(trial)
        return value, trial.params["x"]

    study = optuna.create_study(directions=["minimize"] * 2, sampler=NarsSampler(seed=0))
    study.optimize(both, n_trials=25)
    assert len(feasible(study)) >= 12
    assert min(trial.values[0] for trial in feasible(study)) < 0.6


def test_nothing_feasible_yet_is_sought_for_its_probability() -> None:
    def rare(trial: Trial) -> float:
        value = objective(trial)
        trial.set_constraint("far", math.hypot(trial.params["x"] - 0.9, trial.params["y"] - 0.9) - 0.05)
        return value

    study = optuna.create_study(sampler=NarsSampler(seed=0))
    study.optimize(rare, n_trials=25)
    assert len(feasible(study)) >= 3  # one random point in 127 is


@pytest.mark.parametrize("value", [math.inf, -math.inf])
def test_infinite_constraints(value: float) -> None:
    def infinite(trial: Trial) -> float:
        result = objective(trial)
        trial.set_constraint("corner", value if excess(trial) > 0 or value < 0 else -1.0)
        return result

    study = optuna.create_study(sampler=NarsSampler(seed=0))
    study.optimize(infinite, n_trials=12)
    assert len({str(trial.params) for trial in study.trials}) == 12


def test_a_constraint_that_is_nan_ends_its_trial_alone() -> None:
    def unknown(trial: Trial) -> float:
        value = objective(trial)
        trial.set_constraint("corner", math.nan if trial.number % 3 == 0 else excess(trial))
        return value

    study = optuna.create_study(sampler=NarsSampler(seed=0))
    study.optimize(unknown, n_trials=24, catch=(ValueError,))  # Optuna refuses the value
    assert [trial.number for trial in study.trials if trial.state == TrialState.FAIL] == [*range(0, 24, 3)]
    assert len({str(trial.params) for trial in study.trials}) == 24
    assert study.best_trial.value is not None
    assert study.best_trial.value < 0.6


def broken(trial: FrozenTrial) -> list[float]:
    raise ZeroDivisionError("division by zero")


@pytest.mark.parametrize(
    ("function", "message"),
    [
        (
            lambda trial: (math.nan,),
            "constraints_func of NarsSampler, trial 0: Constraint values cannot be NaN",
        ),
        (broken, "constraints_func of NarsSampler, trial 0: ZeroDivisionError: division by zero"),
        (lambda trial: trial.user_attrs["c"], "constraints_func of NarsSampler, trial 0: KeyError: 'c'"),
        (excess, "trial 0: must return a list of numbers, got [-0-9.]+$"),
        (lambda trial: None, "trial 0: must return a list of numbers, got None"),
        (lambda trial: ["a"], r"trial 0: must return a list of numbers, got \['a'\]"),
        (lambda trial: "12", "trial 0: must return a list of numbers, got '12'"),
    ],
)
def test_a_function_of_constraints_that_fails(function: Callable[[FrozenTrial], Any], message: str) -> None:
    study = optuna.create_study(sampler=NarsSampler(constraints_func=function))
    with pytest.raises(UsageError, match=message):
        study.optimize(objective, n_trials=1)


def test_arrays_of_constraints_are_kept_as_numbers() -> None:
    def function(trial: FrozenTrial) -> Any:
        return np.array([excess(trial) > 0, 2.0], dtype=object)

    study = optuna.create_study(sampler=NarsSampler(constraints_func=function))
    study.optimize(objective, n_trials=1)
    assert [type(value) for value in study.trials[0].constraints.values()] == [float, float]


def test_failed_trials_tell_where_constraints_hold() -> None:
    def failing(trial: Trial) -> float:
        value = measured(trial)
        if excess(trial) > 0:
            raise ValueError("cannot even be evaluated")
        return value

    study = optuna.create_study(sampler=NarsSampler(seed=0))
    study.optimize(failing, n_trials=25, catch=(ValueError,))
    assert len(feasible(study)) >= 12


def test_probabilities_follow_the_measurements() -> None:
    template = GaussianPredictor(LINE, scaled=True)
    learned = Feasibility.fitted(template, ROWS, [{"c": row[0] - 0.55, "free": -1.0} for row in ROWS])
    assert len(learned.predictors) == 1  # what never was violated needs no predictor
    probability = learned(ROWS)
    assert (probability[:5] > 0.8).all()
    assert (probability[7:] < 0.2).all()
    np.testing.assert_array_equal(learned.likely(ROWS), ROWS[:, 0] < 0.55)


def test_without_constraints_everything_is_feasible() -> None:
    np.testing.assert_array_equal(Feasibility()(ROWS), np.ones(11))


def test_where_trials_fail_is_left_alone() -> None:
    """Half of a line fails, which the objective's predictor does not know: it hopes for the best there."""

    def half(trial: Trial) -> float:
        x, choice = trial.suggest_float("x", -5, 5), trial.suggest_categorical("choice", "abc")
        if x < 0:
            raise ValueError("negative")
        return (x - 1) ** 2 + "abc".index(choice) / 2

    study = optuna.create_study(sampler=NarsSampler(seed=0))
    study.optimize(half, n_trials=25, catch=ValueError)
    assert sum(trial.state == TrialState.FAIL for trial in study.trials) <= 9
    assert study.best_value < 0.01


@pytest.mark.parametrize("measure", [lambda y: float(y > 0), lambda y: max(0.0, y), lambda y: 1000 * y - 1])
def test_what_meets_a_constraint_is_likely_to(measure: Callable[[float], float]) -> None:
    """Where 0 is the value of all that is met, predictions of these lie a little above it."""
    excesses = [{"c": measure(x - 0.45)} for x in ROWS[:, 0]]
    found = Feasibility.fitted(GaussianPredictor(LINE, scaled=True), ROWS, excesses)
    met = np.array([each["c"] <= 0 for each in excesses])
    assert found.likely(ROWS).tolist() == met.tolist()
