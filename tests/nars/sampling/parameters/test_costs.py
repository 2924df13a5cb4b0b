"""Costs known beforehand: limits hold, and mistakes of a user's function are one line."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import optuna
import pytest
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.trial import Trial

import nars
from nars.errors import UsageError
from nars.sampling.sampler import NarsSampler

SPACE: dict[str, BaseDistribution] = {
    "width": IntDistribution(1, 64),
    "depth": IntDistribution(1, 8),
    "rate": FloatDistribution(1e-4, 1, log=True),
    "kind": CategoricalDistribution(["thin", "wide"]),
    "scale": IntDistribution(2, 2),
}


def costs(params: dict[str, Any]) -> dict[str, Any]:
    return {"weights": params["scale"] * params["width"] * params["depth"]}


def one_by_one(params: dict[str, Any]) -> dict[str, Any]:
    return costs(params) if params["kind"] == "thin" else {"weights": 0.0}


def objective(trial: Trial) -> float:
    size = trial.suggest_int("width", 1, 64) * trial.suggest_int("depth", 1, 8)
    rate = trial.suggest_float("rate", 1e-4, 1, log=True)
    trial.suggest_categorical("kind", ["thin", "wide"])
    return -math.log(size) + (math.log10(rate) + 2) ** 2


def test_limits_hold_for_every_trial_and_the_best_is_near_them() -> None:
    study = optuna.create_study(sampler=NarsSampler(SPACE, costs=costs, limits={"weights": 200}, seed=0))
    study.optimize(objective, n_trials=16)
    weights = [2 * trial.params["width"] * trial.params["depth"] for trial in study.trials]
    assert max(weights) <= 200
    assert study.best_value < -math.log(90)


def test_a_cost_can_be_an_objective_that_is_known() -> None:
    sampler = NarsSampler(SPACE, costs=costs, objectives=("loss", "weights"), seed=0)
    study = optuna.create_study(directions=["minimize"] * 2, sampler=sampler)
    study.optimize(lambda t: (objective(t), 2.0 * t.params["width"] * t.params["depth"]), n_trials=9)
    assert set(sampler.proposer(study).predictions(study, study.trials).predictors) == {"loss"}


def test_a_function_of_single_values_is_wrapped() -> None:
    sampler = NarsSampler(SPACE, costs=nars.each(one_by_one), limits={"weights": 20}, seed=0)
    study = optuna.create_study(sampler=sampler)
    study.optimize(objective, n_trials=8)
    assert all(one_by_one({**trial.params, "scale": 2})["weights"] <= 20 for trial in study.trials)


@pytest.mark.parametrize(
    ("function", "message"),
    [
        (one_by_one, "costs= of NarsSampler failed: .*wrap a function of single values: costs=nars.each"),
        (lambda p: {"weights": p["widht"]}, "costs= of NarsSampler failed: KeyError: 'widht'"),
        (lambda p: {"weights": p["width"] * math.nan}, "'weights' is nan for .*width=.*; it must be finite"),
        (lambda p: {"weights": [1, 2, 3]}, r"'weights' must be \d+ numbers, one a candidate"),
        (lambda p: {"weights": p["kind"]}, "'weights' must be .* got .*(thin|wide)"),
        (lambda p: {"weights": max(p["width"])}, r"'weights' must be .* of shape \(\); wrap a function"),
        (nars.each(lambda p: {"weights": p["widht"]}), "failed: KeyError: 'widht', for {.*'width'"),
        (nars.each(lambda p: p["width"]), "must return costs by name, got int"),
        (nars.each(lambda p: {"weights": 1, p["width"]: 2}), "the same costs for every candidate, got"),
        ({"weights": 1}, r"costs= of NarsSampler is a function of the parameters, got {'weights': 1}"),
        (None, "no limit on 'weights' without costs= of NarsSampler"),
        (lambda p: p["width"], "must return costs by name, got ndarray"),
    ],
)
def test_mistakes_of_the_function(function: Any, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        optuna.create_study(sampler=NarsSampler(SPACE, costs=function, limits={"weights": 99})).ask(SPACE)


def test_a_failure_of_several_lines_is_told_in_one() -> None:
    def function(params: dict[str, Any]) -> dict[str, Any]:
        raise ValueError("first\n  second")

    for costs in (function, nars.each(function)):
        with pytest.raises(UsageError, match=r"failed: ValueError: first second[^\n]*\Z"):
            NarsSampler(SPACE, costs=costs)


def test_a_function_may_change_what_it_is_given() -> None:
    def changing(params: dict[str, Any]) -> dict[str, Any]:
        params["rate"] *= 1000
        return {"milli": params["rate"]}

    study = optuna.create_study(sampler=NarsSampler(SPACE, costs=changing, limits={"milli": 20.0}, seed=0))
    study.optimize(objective, n_trials=9)
    assert max(trial.params["rate"] for trial in study.trials) <= 0.02


def test_costs_are_asked_for_many_at_a_time() -> None:
    sizes: list[int] = []

    def counting(params: dict[str, Any]) -> dict[str, Any]:
        sizes.append(len(params["width"]))
        return costs(params)

    study = optuna.create_study(sampler=NarsSampler(SPACE, costs=counting, limits={"weights": 200}, seed=0))
    study.optimize(objective, n_trials=7)
    assert np.max(sizes) >= 128


@pytest.mark.filterwarnings("ignore:Choices for a categorical distribution:UserWarning")
def test_a_function_gets_the_choices_that_the_objective_gets() -> None:
    space: dict[str, BaseDistribution] = {
        "mixed": CategoricalDistribution([1, 2.5]),
        "switch": CategoricalDistribution([False, 3]),
        "whole": CategoricalDistribution([2, 4]),
        "named": CategoricalDistribution([None, "a"]),
        "pair": CategoricalDistribution([(1, 2)]),
        "pairs": CategoricalDistribution([(1, 2), (3, 4)]),
    }
    seen: dict[str, set[str]] = {name: set() for name in space}

    def function(params: dict[str, Any]) -> dict[str, Any]:
        for name, value in params.items():
            seen[name].add(repr(value))
        return {"cost": params["pair"][0] + params["pairs"][1]}

    sampler = NarsSampler(space, costs=nars.each(function), limits={"cost": 4}, seed=0)
    optuna.create_study(sampler=sampler).ask(space)
    assert seen == {
        "mixed": {"1.0", "2.5"},
        "switch": {"False", "3"},
        "whole": {"2", "4"},
        "named": {"None", "'a'"},
        "pair": {"(1, 2)"},
        "pairs": {"(1, 2)", "(3, 4)"},
    }
