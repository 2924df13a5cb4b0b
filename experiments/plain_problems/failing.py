"""How many trials of a study fail where a part of the space does, and does the rest get found?

    OMP_NUM_THREADS=1 python -m experiments.plain_problems.failing

Two objectives that raise: in half of a line, and where a network would not fit into memory. Ten seeds of 25
trials; prints how many failed and the best value, as means and worst. nars is shown with the power that it
takes of the probability not to fail, and with the probability itself. Costs a minute on one core. Expected:
with its power nars fails less often than TPE and finds better values.
"""

from __future__ import annotations

from collections.abc import Callable
from unittest.mock import patch

import numpy as np
import optuna
from optuna.samplers import BaseSampler, RandomSampler, TPESampler
from optuna.trial import Trial, TrialState

from nars.sampling import feasibility
from nars.sampling.sampler import NarsSampler

SEEDS, TRIALS = 10, 25


def half(trial: Trial) -> float:
    """A parabola beside a choice; negative numbers fail."""
    x = trial.suggest_float("x", -5, 5)
    choice = trial.suggest_categorical("choice", ["a", "b", "c"])
    if x < 0:
        raise ValueError("negative")
    return (x - 1) ** 2 + {"a": 0.0, "b": 0.5, "c": 1.0}[choice]


def memory(trial: Trial) -> float:
    """A training that gets better with size until the memory is full."""
    width = trial.suggest_int("width", 8, 512, log=True)
    depth = trial.suggest_int("depth", 1, 8)
    rate = trial.suggest_float("lr", 1e-4, 1, log=True)
    if width * depth > 600:
        raise MemoryError
    return float(1 / np.log2(width) + 0.3 / depth + (np.log10(rate) + 1.5) ** 2)


def outcomes(objective: Callable[[Trial], float], sampler: Callable[[int], BaseSampler]) -> str:
    """The number of failed trials and the best values of all seeds."""
    failed, best = [], []
    for seed in range(SEEDS):
        study = optuna.create_study(sampler=sampler(seed))
        study.optimize(objective, n_trials=TRIALS, catch=(ValueError, MemoryError))
        failed.append(sum(trial.state == TrialState.FAIL for trial in study.trials))
        best.append(study.best_value)
    lost = f"{np.mean(failed):.1f} failed (at most {max(failed)})"
    return f"{lost}, best {np.mean(best):.4f} (worst {max(best):.4f})"


def main() -> None:
    optuna.logging.set_verbosity(optuna.logging.CRITICAL)
    for objective in (half, memory):
        for power in (feasibility._CAUTION, 1):
            with patch.object(feasibility, "_CAUTION", power):
                told = outcomes(objective, lambda seed: NarsSampler(seed=seed))
            print(f"{objective.__name__}: nars, power {power}: {told}", flush=True)
        print(f"{objective.__name__}: TPE: {outcomes(objective, lambda seed: TPESampler(seed=seed))}")
        print(f"{objective.__name__}: random: {outcomes(objective, lambda seed: RandomSampler(seed=seed))}")


if __name__ == "__main__":
    main()
