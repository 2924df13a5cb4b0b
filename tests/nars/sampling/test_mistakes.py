"""What `NarsSampler` refuses, and how it says so."""

from __future__ import annotations

import math
from typing import Any

import pytest
from bowl import BOWL, bowl, distinct, study_of
from optuna.trial import Trial
from stub_task import SPACE

from nars.errors import InfeasibleError, UsageError
from nars.sampling.sampler import NarsSampler
from nars.sampling.strategy import Strategy


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


def test_a_limit_that_is_minus_infinity() -> None:
    study = study_of(BOWL, costs=lambda p: {"area": 1 + p["x"]}, limits={"area": -math.inf})
    with pytest.raises(InfeasibleError, match=r"no candidate meets area <= -inf: the smallest possible is"):
        study.ask(BOWL)


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
