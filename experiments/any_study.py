"""A plain study of boosted trees under a limit known beforehand: `NarsSampler` against TPE.

    python -m experiments.any_study [TRIALS]

Prints the least cross-validated loss within the limit. Costs a minute. Expected: nars has every trial within
the limit and the smaller loss.
"""

import sys
import warnings
from collections.abc import Mapping
from typing import Any

import optuna
from optuna.distributions import FloatDistribution, IntDistribution
from sklearn.datasets import load_breast_cancer
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.model_selection import cross_val_score

import nars

SPACE = {
    "max_iter": IntDistribution(5, 200, log=True),
    "max_leaf_nodes": IntDistribution(2, 64, log=True),
    "learning_rate": FloatDistribution(0.01, 1, log=True),
    "l2_regularization": FloatDistribution(1e-3, 100, log=True),
}
LIMITS = {"leaves": 300}
X, Y = load_breast_cancer(return_X_y=True)


def costs(params: Mapping[str, Any]) -> dict[str, Any]:  # of one trial, or of many at once as arrays
    return {"leaves": params["max_iter"] * params["max_leaf_nodes"]}


def objective(trial: optuna.Trial) -> float:
    params = {
        "max_iter": trial.suggest_int("max_iter", 5, 200, log=True),
        "max_leaf_nodes": trial.suggest_int("max_leaf_nodes", 2, 64, log=True),
        "learning_rate": trial.suggest_float("learning_rate", 0.01, 1, log=True),
        "l2_regularization": trial.suggest_float("l2_regularization", 1e-3, 100, log=True),
    }
    trial.set_constraint("leaves", costs(params)["leaves"] - LIMITS["leaves"])
    model = HistGradientBoostingClassifier(random_state=0, **params)
    return -float(cross_val_score(model, X, Y, cv=3, scoring="neg_log_loss").mean())


def main(trials: int = 30) -> None:
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
    ours = nars.NarsSampler(SPACE, costs=costs, limits=LIMITS, seed=0)
    for sampler in (ours, optuna.samplers.TPESampler(seed=0, multivariate=True)):
        study = optuna.create_study(sampler=sampler)
        study.optimize(objective, n_trials=trials)
        within = [trial.values[0] for trial in study.trials if trial.constraints["leaves"] <= 0]
        best = f"{min(within):.4f}" if within else "none"
        print(f"{type(sampler).__name__}: best {best}, {len(within)} of {trials} within the limit")


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
