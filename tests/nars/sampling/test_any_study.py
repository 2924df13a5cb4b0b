"""`NarsSampler` where people use it: any study, with its own parameters."""

from __future__ import annotations

import copy
import pickle
import warnings
from typing import Any

import numpy as np
import optuna
import pytest
from bowl import BOWL, bowl, distinct, study_of
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.exceptions import ExperimentalWarning
from optuna.samplers import PartialFixedSampler, RandomSampler, TPESampler
from optuna.trial import FrozenTrial, Trial, TrialState

import nars
from nars.sampling.sampler import NarsSampler
from nars.trials import Record


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


def test_what_an_enqueued_trial_leaves_open_meets_the_limits() -> None:
    """Limits were checked for the values that the sampler had chosen in the place of those given."""

    def costs(params: dict[str, Any]) -> dict[str, Any]:
        return {"weights": params["width"] * params["depth"]}

    def objective(trial: Trial) -> float:
        return float(trial.suggest_int("width", 1, 64) * trial.suggest_int("depth", 1, 8))

    space = {"width": IntDistribution(1, 64), "depth": IntDistribution(1, 8)}
    sampler = NarsSampler(space, limits={"weights": 200}, costs=costs, seed=0)
    study = optuna.create_study(sampler=sampler)
    for _ in range(3):
        study.enqueue_trial({"width": 64})
    study.optimize(objective, n_trials=3)
    assert [trial.params["width"] for trial in study.trials] == [64] * 3
    assert {trial.params["depth"] for trial in study.trials} == {
        1,
        2,
        3,
    }  # 64 * 3 is within, none is repeated


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


def test_attributes_of_trials_are_the_users() -> None:
    """A curve of losses ended the study, since searches of nars have another one of that name."""

    def objective(trial: Trial) -> float:
        for name, value in {"curve": [0.9, 0.4], "interval": 0.05, "estimate": 0.8, "void": True}.items():
            trial.set_user_attr(name, value)
        value = bowl(trial)
        if trial.number % 3 == 2:
            trial.report(value, 1)
            raise optuna.TrialPruned
        return value

    ours, plain = study_of(), study_of()
    ours.optimize(objective, n_trials=16)
    plain.optimize(bowl, n_trials=2)
    assert distinct(ours) == 16
    assert [trial.params for trial in ours.trials[:2]] == [trial.params for trial in plain.trials]
    assert ours.best_value < 0.05


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


def test_a_sampler_in_two_studies_of_one_name() -> None:
    shared = NarsSampler(BOWL, seed=0)
    first = optuna.create_study(study_name="same", sampler=shared)
    first.optimize(bowl, n_trials=8)
    first.ask(BOWL)
    mirrored = [
        optuna.create_trial(params=trial.params, distributions=BOWL, value=-trial.value)
        for trial in first.trials[:8]
    ]

    def proposal(sampler: NarsSampler) -> dict[str, Any]:
        second = optuna.create_study(study_name="same", sampler=sampler)
        second.add_trials(mirrored)
        return second.ask(BOWL).params

    assert proposal(shared) == proposal(NarsSampler(BOWL, seed=0))
