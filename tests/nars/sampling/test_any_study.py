"""`NarsSampler` where people use it: any study, its own parameters, its bad inputs."""

from __future__ import annotations

import copy
import logging
import math
import pickle
import warnings
from typing import Any

import numpy as np
import optuna
import pytest
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.exceptions import ExperimentalWarning
from optuna.samplers import PartialFixedSampler, RandomSampler, TPESampler
from optuna.study import Study
from optuna.trial import FrozenTrial, Trial, TrialState
from stub_task import SPACE

import nars
from nars.errors import InfeasibleError, UsageError
from nars.sampling.sampler import NarsSampler
from nars.sampling.strategy import Strategy
from nars.trials import Record

BOWL: dict[str, BaseDistribution] = {"x": FloatDistribution(0, 1), "y": FloatDistribution(0, 1)}


def study_of(*given: Any, directions: tuple[str, ...] = ("minimize",), **options: Any) -> Study:
    return optuna.create_study(directions=directions, sampler=NarsSampler(*given, **({"seed": 0} | options)))


def bowl(trial: Trial) -> float:
    return (trial.suggest_float("x", 0, 1) - 0.3) ** 2 + (trial.suggest_float("y", 0, 1) - 0.7) ** 2


def distinct(study: Study) -> int:
    return len({str(sorted(trial.params.items())) for trial in study.trials})


@pytest.mark.parametrize("given", [(), (BOWL,)], ids=["learned", "given"])
def test_a_bowl_is_found_to_three_digits(given: tuple[Any, ...]) -> None:
    study = study_of(*given)
    study.optimize(bowl, n_trials=20)
    assert study.best_value < 1e-3  # the best of twenty random points is .02 on average
    assert distinct(study) == 20
    assert Record.of(study.trials[-1]).predicted is not None


@pytest.mark.parametrize("given", [(), (BOWL,)], ids=["learned", "given"])
def test_a_new_sampler_on_the_same_study_goes_on_alike(given: tuple[Any, ...]) -> None:
    whole, halves = study_of(*given), study_of(*given)
    whole.optimize(bowl, n_trials=12)
    halves.optimize(bowl, n_trials=7)
    halves.sampler = NarsSampler(*given, seed=0)
    halves.optimize(bowl, n_trials=5)
    assert [trial.params for trial in whole.trials] == [trial.params for trial in halves.trials]


def test_the_seed_that_is_drawn_is_kept_in_the_study() -> None:
    first, second = study_of(seed=None), study_of(seed=None)
    for study in (first, second):
        study.optimize(bowl, n_trials=8)
    assert first.trials[0].params != second.trials[0].params
    assert first.trials[7].params != second.trials[7].params
    again = optuna.create_study(sampler=NarsSampler(seed=first.user_attrs["nars_sampler_seed"]))
    again.optimize(bowl, n_trials=8)
    assert [trial.params for trial in again.trials] == [trial.params for trial in first.trials]


def test_parameters_of_one_value_are_left_out() -> None:
    def objective(trial: Trial) -> float:
        return bowl(trial) * trial.suggest_float("one", 0.1, 0.1, log=True) + trial.suggest_int("two", 3, 3)

    study = study_of(seed=None)
    study.optimize(objective, n_trials=10)
    assert study.sampler.infer_relative_search_space(study, study.trials[0]).keys() == {"x", "y"}
    given = BOWL | {"one": FloatDistribution(0.1, 0.1, log=True), "kind": CategoricalDistribution(["a"])}
    study = study_of(given)
    study.optimize(objective, n_trials=10)
    assert study.best_value < 3.1


def test_it_gives_what_it_is_asked_for_and_nothing_else() -> None:
    study = study_of(BOWL)
    with warnings.catch_warnings(category=ExperimentalWarning, action="ignore"):
        study.sampler = PartialFixedSampler({"y": 0.25}, study.sampler)
    study.optimize(bowl, n_trials=9)
    assert {trial.params["y"] for trial in study.trials} == {0.25}
    assert distinct(study) == 9


def branches(trial: Trial) -> float:
    if trial.suggest_categorical("model", ["line", "curve"]) == "line":
        return 0.2 + (trial.suggest_float("slope", 0, 1) - 0.5) ** 2
    return sum((trial.suggest_float(f"c{at}", 0, 1) - 0.4) ** 2 for at in range(trial.suggest_int("n", 1, 3)))


def test_conditional_parameters_are_searched_together() -> None:
    study = study_of()
    study.optimize(branches, n_trials=30)
    assert distinct(study) == 30
    assert study.best_value < 0.01
    assert study.best_params["model"] == "curve"


def test_conditional_parameters_of_a_given_space() -> None:
    given: dict[str, BaseDistribution] = {
        "model": CategoricalDistribution(["line", "curve"]),
        "slope": FloatDistribution(0, 1),
        "n": IntDistribution(1, 3),
        **{f"c{at}": FloatDistribution(0, 1) for at in range(3)},
    }
    study = study_of(given)
    study.optimize(branches, n_trials=30)
    assert distinct(study) == 30
    assert study.best_value < 0.01


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


def test_pruned_failed_enqueued_and_imported_trials() -> None:
    def objective(trial: Trial) -> float:
        value = bowl(trial)
        if trial.number % 4 == 1:
            trial.report(value, 1)
            raise optuna.TrialPruned
        if trial.number % 4 == 2:
            raise ValueError("no luck")
        return value

    study = study_of()
    study.add_trial(optuna.create_trial(value=9.0))
    study.add_trial(
        optuna.create_trial(params={"z": 1}, distributions={"z": IntDistribution(0, 3)}, value=1.0)
    )
    study.enqueue_trial({"x": 0.9})
    study.enqueue_trial({"x": 0.9, "y": 0.1})
    study.optimize(objective, n_trials=24, catch=(ValueError,))
    own = study.trials[2:]
    assert own[0].params["x"] == 0.9
    assert own[1].params == {"x": 0.9, "y": 0.1}
    assert distinct(study) == 26
    assert min(t.value for t in own if t.state == TrialState.COMPLETE) < 0.01


def test_trials_of_another_objective_do_not_mislead() -> None:
    study = study_of()
    study.add_trial(
        optuna.create_trial(params={"z": 1}, distributions={"z": IntDistribution(0, 3)}, value=1.0)
    )
    study.optimize(bowl, n_trials=20)
    assert study.best_value < 1e-3  # .09 if values of z make old candidates look new


def test_a_parameter_that_is_left_out_half_way() -> None:
    study = study_of()
    study.optimize(lambda trial: bowl(trial) + 0.01 * trial.suggest_float("z", 0, 1), n_trials=10)
    study.optimize(bowl, n_trials=15)
    assert min(trial.value for trial in study.trials[10:]) < 1e-3
    points = {(trial.params["x"], trial.params["y"]) for trial in study.trials[15:]}
    assert len(points) == 10


@pytest.mark.parametrize("before", [RandomSampler(seed=0), TPESampler(seed=0)], ids=["random", "tpe"])
def test_a_study_of_another_sampler_is_continued(before: Any) -> None:
    study = optuna.create_study(sampler=before)
    study.optimize(bowl, n_trials=15)
    found = study.best_value
    study.sampler = NarsSampler()
    study.optimize(bowl, n_trials=6)
    assert study.best_value < min(found, 0.005)


def test_two_objectives_need_no_names() -> None:
    def objective(trial: Trial) -> tuple[float, float]:
        x = trial.suggest_float("x", 0, 1)
        return x, (1 - x) ** 2 + trial.suggest_float("y", 0, 1)

    study = study_of(directions=("minimize", "minimize"))
    study.optimize(objective, n_trials=25)
    assert len(study.best_trials) >= 10
    assert min(trial.params["y"] for trial in study.best_trials) < 0.02


def test_three_objectives_work_and_more_say_so() -> None:
    def objective(trial: Trial) -> tuple[float, ...]:
        value = bowl(trial)
        return (value, *(trial.params["x"],) * (len(trial.study.directions) - 1))

    study = study_of(directions=("minimize",) * 3)
    study.optimize(objective, n_trials=9)
    assert distinct(study) == 9
    study = study_of(directions=("minimize",) * 4)
    study.optimize(objective, n_trials=1)
    with pytest.raises(UsageError, match="at most 3 objectives, the study has 4; use optuna"):
        study.optimize(objective, n_trials=1)


def test_workers_at_the_same_time() -> None:
    study = study_of()
    study.optimize(bowl, n_trials=16, n_jobs=2)
    assert distinct(study) == 16


def identity(params: dict[str, Any]) -> dict[str, Any]:
    return {"x": params["x"]}


def first_only(trial: FrozenTrial) -> list[float]:
    return [trial.params["x"] - 0.9]


def test_a_sampler_can_be_sent_to_another_process_after_its_use() -> None:
    study = study_of(BOWL, costs=nars.each(identity), limits={"x": 0.8}, constraints_func=first_only)
    study.optimize(bowl, n_trials=8)
    sent, copied = pickle.loads(pickle.dumps(study)), copy.deepcopy(study)
    for other in (study, sent, copied):
        other.optimize(bowl, n_trials=1)
    assert sent.trials[8].params == copied.trials[8].params == study.trials[8].params


def test_hyperband_hides_most_of_a_study() -> None:
    def objective(trial: Trial) -> float:
        value = bowl(trial)
        for step in range(1, 5):
            trial.report(value + 1 / step, step)
            if trial.should_prune():
                raise optuna.TrialPruned
        return value

    pruner = optuna.pruners.HyperbandPruner(min_resource=1, max_resource=4)
    study = optuna.create_study(sampler=NarsSampler(), pruner=pruner)
    study.optimize(objective, n_trials=16)
    assert distinct(study) == 16


def test_ten_thousand_trials_and_a_proposal() -> None:
    rng = np.random.default_rng(0)
    study = study_of()
    done = [
        optuna.create_trial(
            params={"x": x, "y": y}, distributions=BOWL, value=(x - 0.3) ** 2 + (y - 0.7) ** 2
        )
        for x, y in rng.random((10_000, 2)).tolist()
    ]
    study.add_trials(done)
    found = study.best_value
    study.optimize(bowl, n_trials=2)
    assert study.trials[-1].value < max(10 * found, 1e-3)


@pytest.mark.parametrize(
    ("space", "options", "message"),
    [
        ({"x": (0, 1)}, {}, "parameter 'x' of NarsSampler needs a distribution of Optuna"),
        ({}, {}, "was given no parameters"),
        (
            [1, 2],
            {},
            r"the space of NarsSampler is a nars.Space, distributions by name or nothing, got \[1, 2\]",
        ),
        (None, {"limits": {"macs": 1}}, "must know the parameters before the first trial to keep limits"),
        (None, {"costs": lambda p: {}}, "must know the parameters before the first trial"),
        (SPACE, {"costs": lambda p: {}}, "a space knows its own costs"),
        (BOWL, {"limits": {"macs": 1}}, "no limit on 'macs'"),
        (BOWL, {"costs": lambda p: {"area": p["x"]}, "limits": {"aria": 1}}, "did you mean 'area'"),
        (None, {"seed": -1}, "seed of NarsSampler must not be negative"),
        (None, {"seed": "1"}, "the seed of NarsSampler is an integer or None, got '1'"),
        (None, {"seed": 1.5}, r"the seed of NarsSampler is an integer or None, got 1\.5"),
        (None, {"objectives": "loss"}, "objectives= of NarsSampler is a list of names, .* got 'loss'"),
        (None, {"objectives": ("loss", "loss")}, "has a name twice: loss, loss"),
        (BOWL, {"limits": [1]}, r"limits= of NarsSampler are numbers by name, got \[1\]"),
        (BOWL, {"limits": {"area": "1"}}, "limits= of NarsSampler: 'area' must be a number, got '1'"),
        (BOWL, {"limits": {"area": (0, 1)}}, r"'area' must be a number, got \(0, 1\)"),
        (BOWL, {"limits": {"area": math.nan}}, "'area' must be a number, got nan"),
        (
            None,
            {"constraints_func": [1.0]},
            r"constraints_func= of NarsSampler is a function",
        ),
        (None, {"strategy": Strategy(knowledge=lambda matrix: matrix)}, "needs a domain"),
    ],
)
def test_mistakes_are_said_when_the_sampler_is_made(space: Any, options: Any, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        NarsSampler(space, **options)


def test_limits_that_nothing_meets() -> None:
    study = study_of(BOWL, costs=lambda p: {"area": 1 + p["x"]}, limits={"area": 0.5})
    with pytest.raises(InfeasibleError, match=r"no candidate meets area <= 0\.5"):
        study.ask(BOWL)
