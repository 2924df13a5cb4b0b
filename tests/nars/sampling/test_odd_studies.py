"""`NarsSampler` in studies whose parameters or values are not what it expects."""

from __future__ import annotations

import logging
import math
from typing import Any

import optuna
import pytest
from bowl import BOWL, bowl, distinct, study_of
from optuna.distributions import IntDistribution
from optuna.trial import Trial
from stub_task import SPACE

from nars.sampling.sampler import NarsSampler


@pytest.mark.parametrize("space", [BOWL, SPACE], ids=["given", "Space"])
def test_misspelt_parameters_are_named_once_and_no_candidate_is_repeated(
    space: Any, caplog: pytest.LogCaptureFixture
) -> None:
    names = list(space if isinstance(space, dict) else space.distributions)
    first = BOWL["x"] if isinstance(space, dict) else SPACE.distributions[names[0]]

    def objective(trial: Trial) -> float:
        value = trial._suggest(names[0], first)
        return float(value) + trial.suggest_float("yy", 0, 1)

    study = study_of(space, directions=("maximize",))
    with caplog.at_level(logging.WARNING):
        study.optimize(objective, n_trials=30)
    assert distinct(study) == 30
    (drawn,) = [text for text in caplog.messages if "'yy' at random" in text]
    assert "NarsSampler" in drawn
    asked = [text for text in caplog.messages if "do not ask for" in text]
    assert len(asked) == 1
    assert "they have 'yy'" in asked[0]


def test_a_study_of_other_parameters_is_no_random_search_without_a_word(
    caplog: pytest.LogCaptureFixture,
) -> None:
    study = study_of(SPACE)
    with caplog.at_level(logging.WARNING):
        study.optimize(bowl, n_trials=4)
    assert any("'x' at random: it is not in its space" in text for text in caplog.messages)
    assert len(caplog.messages) == len(set(caplog.messages))


@pytest.mark.parametrize(("low", "high"), [(0.0, 0.5), (0.0, 2.0), (2.0, 3.0)])
def test_ranges_that_change_half_way(low: float, high: float, caplog: pytest.LogCaptureFixture) -> None:
    study = study_of()
    study.optimize(bowl, n_trials=10)

    def moved(trial: Trial) -> float:
        return (trial.suggest_float("x", low, high) - low - 0.3) ** 2 + (
            trial.suggest_float("y", 0, 1) - 0.7
        ) ** 2

    with caplog.at_level(logging.WARNING):
        study.optimize(moved, n_trials=20)
    assert min(trial.value for trial in study.trials[10:]) < 0.01
    assert [text for text in caplog.messages if "range of parameter 'x' has changed" in text]
    assert distinct(study) == 30


@pytest.mark.parametrize(("low", "high"), [(5.0, 6.0), (0.0, 0.5), (0.0, 2.0)])
def test_another_range_than_the_one_given_is_named_once(
    low: float, high: float, caplog: pytest.LogCaptureFixture
) -> None:
    def moved(trial: Trial) -> float:
        return trial.suggest_float("x", low, high) + trial.suggest_float("y", 0, 1)

    study = study_of(BOWL)
    with caplog.at_level(logging.WARNING):
        study.optimize(moved, n_trials=12)
    assert distinct(study) == 12
    assert all(low <= trial.params["x"] <= high for trial in study.trials)
    assert len({trial.params["y"] for trial in study.trials}) == 12
    assert sum("parameter 'x' in another range than the space" in text for text in caplog.messages) == 1


def test_a_range_that_always_changes_is_drawn_at_random_and_said_so(caplog: pytest.LogCaptureFixture) -> None:
    def objective(trial: Trial) -> float:
        x = trial.suggest_float("x", 0.1, 1)
        return (x - 0.6) ** 2 + 0.01 * trial.suggest_float("y", 0, x)

    study = study_of()
    with caplog.at_level(logging.WARNING):
        study.optimize(objective, n_trials=20)
    assert study.best_value < 0.01
    assert sum("draws parameter 'y' at random" in text for text in caplog.messages) == 1


def test_infinite_and_nan_objectives() -> None:
    def objective(trial: Trial) -> float:
        value = bowl(trial)
        if trial.params["x"] > 0.8:
            return math.inf
        return math.nan if trial.params["y"] < 0.2 else value

    study = study_of()
    study.optimize(objective, n_trials=25)
    assert study.best_value < 0.01
    assert distinct(study) == 25


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("huge", [1e300, -1e308, 1.7e308])
def test_objectives_and_constraints_beyond_what_can_be_computed_with(huge: float) -> None:
    def objective(trial: Trial) -> float:
        value = bowl(trial)
        trial.set_constraint("high", abs(huge) if trial.params["y"] > 0.9 else -1.0)
        return huge if trial.params["x"] > 0.8 else value

    study = study_of()
    study.optimize(objective, n_trials=25)
    assert distinct(study) == 25


def test_a_whole_number_of_any_size() -> None:
    study = study_of()
    study.optimize(lambda trial: trial.suggest_int("x", 0, 2**63 - 1) / 2**63, n_trials=15)
    assert study.best_value < 0.05


def test_candidates_that_are_tried_again_are_said_once(caplog: pytest.LogCaptureFixture) -> None:
    study = study_of()
    study.optimize(lambda trial: trial.suggest_int("x", 0, 4), n_trials=9)
    assert distinct(study) == 5
    assert sum("no candidate that was not tried is left" in text for text in caplog.messages) == 1


@pytest.mark.parametrize("value", [math.inf, -math.inf])
def test_only_infinite_objectives(value: float) -> None:
    study = study_of()
    study.optimize(lambda trial: bowl(trial) + value, n_trials=10)
    assert distinct(study) == 10


def test_a_parameter_that_is_left_out_half_way() -> None:
    study = study_of()
    study.optimize(lambda trial: bowl(trial) + 0.01 * trial.suggest_float("z", 0, 1), n_trials=10)
    study.optimize(bowl, n_trials=15)
    assert min(trial.value for trial in study.trials[10:]) < 1e-3
    points = {(trial.params["x"], trial.params["y"]) for trial in study.trials[15:]}
    assert len(points) == 10


def test_trials_of_another_objective_do_not_mislead() -> None:
    study = study_of()
    study.add_trial(
        optuna.create_trial(params={"z": 1}, distributions={"z": IntDistribution(0, 3)}, value=1.0)
    )
    study.optimize(bowl, n_trials=20)
    assert study.best_value < 1e-3  # .09 if values of z make old candidates look new


@pytest.mark.parametrize("directions", [("minimize",) * 2, ("minimize", "maximize", "maximize")])
def test_every_candidate_of_a_front_is_tried_and_none_meets_the_constraint(
    directions: tuple[str, ...], caplog: pytest.LogCaptureFixture
) -> None:
    def objective(trial: Trial) -> tuple[float, ...]:
        x = trial.suggest_int("x", 0, 5)
        trial.set_constraint("broken", 1.0 + x)
        return tuple(float(x) for _ in directions)

    study = study_of(directions=directions)
    study.optimize(objective, n_trials=9)
    assert distinct(study) == 6
    assert sum("no candidate that was not tried is left" in text for text in caplog.messages) == 1


def test_a_logarithmic_range_too_narrow_for_its_logarithms() -> None:
    study = study_of()
    high = math.nextafter(1e10, math.inf)
    study.optimize(lambda trial: bowl(trial) + 0 * trial.suggest_float("z", 1e10, high, log=True), n_trials=9)
    assert distinct(study) == 9


@pytest.mark.filterwarnings("ignore:Fixed parameter x")
@pytest.mark.parametrize("space", [BOWL, None], ids=["given", "learned"])
def test_an_enqueued_number_beyond_its_range_is_not_taken_for_the_end_of_the_range(space: Any) -> None:
    study = study_of(space)
    study.enqueue_trial({"x": 5.0, "y": 0.7})
    study.enqueue_trial({"x": 0.5, "y": 0.7})
    study.optimize(bowl, n_trials=2)
    assert study.trials[0].params["x"] == 5
    assert isinstance(study.sampler, NarsSampler)
    history = study.sampler.proposer(study).history
    assert [trial.number for trial in history.labelled(study, study.trials)] == [1]
