"""Tries what people try first with the sampler, and every bad input, one printed line each.

    OMP_NUM_THREADS=1 python -m experiments.plain_problems.first_tries

Each of the first tries once failed, as the line says; what happens now follows. Costs half a minute.
Expected: 126 tests of Optuna pass, no candidate is trained twice, nothing ends in a traceback.
"""

from __future__ import annotations

import logging
import math
import subprocess
import sys
import time
import warnings
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import optuna
from optuna.distributions import BaseDistribution, FloatDistribution, IntDistribution
from optuna.study import Study
from optuna.trial import FrozenTrial, Trial, TrialState, create_trial

from experiments.plain_problems.problems import PROBLEMS
from experiments.plain_problems.run import one_study
from nars.errors import NarsError
from nars.sampling.sampler import NarsSampler
from search_spaces.spaces import space

__all__ = ["BAD_INPUT", "FIRST_TRIES", "said"]

BOWL: dict[str, BaseDistribution] = {"x": FloatDistribution(0, 1), "y": FloatDistribution(0, 1)}
"""The parameters of `bowl`."""


def bowl(trial: Trial) -> float:
    """Its least value is 0; the best of twenty random points has .02 on average."""
    return (trial.suggest_float("x", 0, 1) - 0.3) ** 2 + (trial.suggest_float("y", 0, 1) - 0.7) ** 2


def _study(*given: Any, objectives: int = 1, **options: Any) -> Study:
    sampler = NarsSampler(*given, **({"seed": 0} | options))
    return optuna.create_study(directions=["minimize"] * objectives, sampler=sampler)


def _searched(
    objective: Callable[[Trial], Any], trials: int, *given: Any, objectives: int = 1, **options: Any
) -> Study:
    study = _study(*given, objectives=objectives, **options)
    study.optimize(objective, n_trials=trials, catch=(ValueError,))
    return study


def _summary(study: Study) -> str:
    """How many candidates are distinct, and the best one's value."""
    distinct = len({str(sorted(trial.params.items())) for trial in study.trials})
    return f"{distinct} distinct candidates of {len(study.trials)}, best {study.best_value:.2g}"


def said(action: Callable[[], str]) -> str:
    """The result of an action, with every warning of the library; an error of the user's is one line."""
    heard: list[str] = []
    handler = logging.Handler()
    handler.emit = lambda record: heard.append(record.getMessage())  # type: ignore[method-assign]  # of this one handler
    logger = logging.getLogger("nars")
    logger.addHandler(handler)
    try:
        with warnings.catch_warnings(action="ignore"):  # what is experimental in Optuna
            result = action()
    except NarsError as error:
        result = f"{type(error).__name__}: {error}"
    finally:
        logger.removeHandler(handler)
    return "; it says: ".join([result, *heard])


def _two_objectives() -> str:
    study = _searched(lambda trial: (bowl(trial), trial.params["x"]), 20, objectives=2)
    return f"{len(study.trials)} trials, {len(study.best_trials)} of them on the front"


def _constraint() -> str:
    def objective(trial: Trial) -> float:
        value = bowl(trial)
        trial.set_constraint("area", 0.5 - trial.params["x"] * trial.params["y"])  # 15 % of the square
        return value

    trials = _searched(objective, 30).trials
    best = min(trial.values[0] for trial in trials if trial.constraints["area"] <= 0)
    return f"best within it {best:.4f} after 30 trials (possible: 0.1043)"


def _two_studies() -> str:
    first, second = (_searched(bowl, 7, seed=None) for _ in range(2))
    differ = sum(a.params != b.params for a, b in zip(first.trials, second.trials, strict=True))
    return f"{differ} of 7 trials differ"


def _single_value(trial: Trial) -> float:
    return bowl(trial) + trial.suggest_float("one", 0.1, 0.1, log=True) - 0.1


def _misspelt(trial: Trial) -> float:
    return (trial.suggest_float("x", 0, 1) - 0.3) ** 2 + (trial.suggest_float("why", 0, 1) - 0.7) ** 2


def _optunas_tests() -> str:
    command = [sys.executable, "-m", "pytest", "-q", "-n", "0", "tests/nars/sampling/test_contract.py"]
    lines = subprocess.run(command, capture_output=True, text=True, check=False).stdout.splitlines()
    return lines[-1] if lines else "pytest is not installed"


def _hartmann() -> str:
    (row,) = one_study("hartmann", "nars", 0)
    return f"{row['loss_40']:.3f} after 40 trials, seed 0 (ten seeds: plain_problems/README.md)"


FIRST_TRIES: dict[str, Callable[[], str]] = {
    "NarsSampler() was a TypeError": lambda: _summary(_searched(bowl, 20)),
    "a mapping of distributions failed in the first suggest": lambda: _summary(_searched(bowl, 20, BOWL)),
    "a study of other parameters was searched at random without a word": lambda: _summary(
        _searched(bowl, 20, space("micro"))
    ),
    "conditional parameters: one candidate was trained thirty times": lambda: _summary(
        _searched(PROBLEMS["conditional"].objective, 30)
    ),
    "a misspelt parameter: one candidate was trained thirty times": lambda: _summary(
        _searched(_misspelt, 30, BOWL)
    ),
    "seed=None failed at trial 7": lambda: _summary(_searched(bowl, 20, seed=None)),
    "a logarithmic range of one value failed at trial 7": lambda: _summary(_searched(_single_value, 20)),
    "trial.set_constraint was ignored": _constraint,
    "two objectives failed in the first trial": _two_objectives,
    "two studies with the default seed proposed the same": _two_studies,
    "84 of Optuna's 126 tests of samplers passed": _optunas_tests,
    "Hartmann 6, of which 0 is the least loss": _hartmann,
}
"""Faults that were, and an action that shows what happens now."""


def _changed_ranges() -> str:
    study = _searched(bowl, 10)
    study.optimize(lambda trial: (trial.suggest_float("x", 2, 3) - 2.3) ** 2 + bowl_y(trial), n_trials=20)
    return _summary(study)


def bowl_y(trial: Trial) -> float:
    """The part of `bowl` that stays as it is."""
    return (trial.suggest_float("y", 0, 1) - 0.7) ** 2


def _odd_values(trial: Trial) -> float:
    value = bowl(trial)
    return math.inf if trial.params["x"] > 0.8 else math.nan if trial.params["y"] < 0.2 else value


def _odd_constraints(trial: FrozenTrial) -> Sequence[float]:
    return [math.inf if trial.params["x"] > 0.5 else -1.0]


def _nan_constraints(trial: FrozenTrial) -> Sequence[float]:
    return [math.nan if trial.params["x"] > 0.5 else -1.0]


def _every_state() -> str:
    def objective(trial: Trial) -> float:
        value = bowl(trial)
        if trial.number % 4 == 1:
            raise optuna.TrialPruned
        if trial.number % 4 == 2:
            raise ValueError("no luck")
        return value

    study = _study()
    study.add_trial(create_trial(value=9.0))
    foreign: dict[str, BaseDistribution] = {"z": IntDistribution(0, 3)}
    study.add_trial(create_trial(params={"z": 1}, distributions=foreign, value=1.0))
    study.enqueue_trial({"x": 0.9, "y": 0.1})
    study.optimize(objective, n_trials=30, catch=(ValueError,))
    states = [trial.state for trial in study.trials]
    counts = ", ".join(
        f"{states.count(state)} {state.name.lower()}" for state in TrialState if state in states
    )
    return f"{_summary(study)} ({counts})"


def _many_trials() -> str:
    points = np.random.default_rng(0).random((10_000, 2)).tolist()
    study = _study()
    study.add_trials(
        create_trial(params={"x": x, "y": y}, distributions=BOWL, value=(x - 0.3) ** 2 + (y - 0.7) ** 2)
        for x, y in points
    )
    started = time.perf_counter()
    study.optimize(bowl, n_trials=2)
    return f"two more in {time.perf_counter() - started:.1f} s, best {study.best_value:.2g}"


def _after_another(sampler: optuna.samplers.BaseSampler) -> str:
    study = optuna.create_study(sampler=sampler)
    study.optimize(bowl, n_trials=15)
    found = study.best_value
    study.sampler = NarsSampler()
    study.optimize(bowl, n_trials=6)
    return f"best {found:.2g} before, {study.best_value:.2g} after six trials of NarsSampler"


def _raising(params: Any) -> dict[str, Any]:
    raise KeyError("widht")


BAD_INPUT: dict[str, Callable[[], str]] = {
    "distributions that change half way": _changed_ranges,
    "NaN and infinite objectives": lambda: _summary(_searched(_odd_values, 25)),
    "infinite constraints": lambda: _summary(_searched(bowl, 15, constraints_func=_odd_constraints)),
    "NaN constraints": lambda: _summary(_searched(bowl, 15, constraints_func=_nan_constraints)),
    "pruned, failed, enqueued and imported trials": _every_state,
    "four objectives": lambda: _summary(_searched(lambda trial: (bowl(trial),) * 4, 3, objectives=4)),
    "10 000 trials": _many_trials,
    "costs that raises": lambda: _summary(_searched(bowl, 3, BOWL, costs=_raising, limits={"area": 1})),
    "costs that returns NaN": lambda: _summary(
        _searched(bowl, 3, BOWL, costs=lambda p: {"area": p["x"] * math.nan}, limits={"area": 1})
    ),
    "a study of TPE before it": lambda: _after_another(optuna.samplers.TPESampler(seed=0)),
}
"""Bad inputs of a study, and what comes of them."""


def main() -> int:
    optuna.logging.set_verbosity(optuna.logging.CRITICAL)  # failed trials are meant to fail
    for title, tries in (("First tries", FIRST_TRIES), ("Bad input", BAD_INPUT)):
        print(f"{title}\n")
        for what, action in tries.items():
            print(f"- {what}. Now: {said(action)}", flush=True)
        print()
    return 0


if __name__ == "__main__":
    sys.exit(main())
