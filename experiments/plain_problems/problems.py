"""Five plain problems as people write them: objectives of an Optuna trial, with known optima."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from optuna.study import Study
from optuna.trial import Trial

from nars.internals import hypervolume

__all__ = ["PROBLEMS", "Problem"]

_HARTMANN_A = np.array(
    [
        [10, 3, 17, 3.5, 1.7, 8],
        [0.05, 10, 17, 0.1, 8, 14],
        [3, 3.5, 1.7, 10, 17, 8],
        [17, 8, 0.05, 10, 0.1, 14],
    ]
)
"""Hartmann's function in six dimensions (Dixon and Szegö, 1978), as are the next two."""

_HARTMANN_P = 1e-4 * np.array(
    [
        [1312, 1696, 5569, 124, 8283, 5886],
        [2329, 4135, 8307, 3736, 1004, 9991],
        [2348, 1451, 3522, 2883, 3047, 6650],
        [4047, 8828, 8732, 5743, 1091, 381],
    ]
)
"""Centres of its four hollows."""

_HARTMANN_WEIGHTS = np.array([1.0, 1.2, 3.0, 3.2])
"""Depths of its four hollows."""

_REFERENCE = np.array([1.1, 10.0])
"""Worst values of the two objectives that count."""


@dataclass(frozen=True)
class Problem:
    """An objective to minimize."""

    objective: Callable[[Trial], float | tuple[float, float]]
    loss: Callable[[Study, int], float]
    """The result after the first trials of a study, smaller is better."""
    objectives: int = 1


def hartmann(trial: Trial) -> float:
    """Six continuous parameters; the least value is -3.32237."""
    x = np.array([trial.suggest_float(f"x{at}", 0, 1) for at in range(6)])
    return -float(_HARTMANN_WEIGHTS @ np.exp(-(_HARTMANN_A * (x - _HARTMANN_P) ** 2).sum(axis=1)))


def mixed(trial: Trial) -> float:
    """Logarithmic, whole, stepped and unordered parameters, as a training has them; the least value is 0."""
    rate = np.log10(trial.suggest_float("rate", 1e-5, 1, log=True))
    decay = np.log10(trial.suggest_float("decay", 1e-6, 1e-1, log=True))
    layers = trial.suggest_int("layers", 1, 8)
    dropout = trial.suggest_float("dropout", 0, 0.5, step=0.05)
    kind = trial.suggest_categorical("kind", ["sgd", "adam", "lamb"])
    batch = trial.suggest_int("batch", 8, 512, log=True)
    best = {"sgd": -1.0, "adam": -3.0, "lamb": -2.0}[kind]
    loss = 0.6 * (rate - best - 0.3 * (np.log2(batch) - 6)) ** 2 + 0.1 * (decay + 4) ** 2
    loss += 0.05 * (layers - 5) ** 2 + 8 * (dropout - 0.2) ** 2
    return float(loss + {"sgd": 0.4, "adam": 0.0, "lamb": 0.25}[kind])


def conditional(trial: Trial) -> float:
    """Two kinds of models with settings of their own, and a width for every layer; the least value is 0."""
    if trial.suggest_categorical("model", ["trees", "network"]) == "trees":
        depth = trial.suggest_int("depth", 1, 16)
        shrinkage = np.log10(trial.suggest_float("shrinkage", 1e-3, 1, log=True))
        return float(0.3 + 0.02 * (depth - 6) ** 2 + 0.5 * (shrinkage + 1.2) ** 2)
    layers = trial.suggest_int("layers", 1, 3)
    rate = np.log10(trial.suggest_float("rate", 1e-5, 1e-1, log=True))
    widths = [trial.suggest_float(f"width{at}", 0, 1) for at in range(layers)]
    wanted = (0.3, 0.6, 0.8)
    shape = sum((width - best) ** 2 for width, best in zip(widths, wanted, strict=False))
    return float(0.4 * (rate + 2.5) ** 2 + 0.15 * (3 - layers) + shape)


def constrained(trial: Trial) -> float:
    """Gardner's second problem in four dimensions, under a constraint that only the trial tells."""
    x = np.array([trial.suggest_float(f"x{at}", 0, 6) for at in range(2)])
    y = np.array([trial.suggest_float(f"y{at}", -2, 2) for at in range(2)])
    trial.set_constraint("wave", float(np.sin(x[0]) * np.sin(x[1]) + 0.95))
    return float(np.sin(x[0]) + x[1] + (y**2).sum())


def two(trial: Trial) -> tuple[float, float]:
    """ZDT1 in five dimensions (Zitzler et al., 2000): a convex front."""
    x = np.array([trial.suggest_float(f"x{at}", 0, 1) for at in range(5)])
    rest = 1 + 9 * float(x[1:].mean())
    return float(x[0]), float(rest * (1 - np.sqrt(x[0] / rest)))


def _above(least: float) -> Callable[[Study, int], float]:
    """The best feasible value found, above the least possible one."""

    def loss(study: Study, count: int) -> float:
        trials = study.get_trials(deepcopy=False)[:count]
        values = [t.values[0] for t in trials if all(c <= 0 for c in t.constraints.values())]
        return min(values, default=10.0) - least

    return loss


def _missing(study: Study, count: int) -> float:
    """The volume up to the reference that is not dominated, as a share; the front leaves none."""
    values = np.array([trial.values for trial in study.get_trials(deepcopy=False)[:count]])
    front = 1.1 * 10.0 - 1 / 3 - 0.0  # the area above y = 1 - sqrt(x), x in 0..1, and right of x = 1
    return 1 - hypervolume(values, _REFERENCE) / front


PROBLEMS = {
    "hartmann": Problem(hartmann, _above(-3.32237)),
    "mixed": Problem(mixed, _above(0.0)),
    "conditional": Problem(conditional, _above(0.0)),
    "constrained": Problem(constrained, _above(0.25325)),
    "two": Problem(two, _missing, objectives=2),
}
"""The problems by name."""
