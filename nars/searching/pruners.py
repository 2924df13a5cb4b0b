"""Optuna's pruners that a search can use, by name."""

from __future__ import annotations

from typing import get_args

import optuna
from optuna.pruners import BasePruner

from nars.errors import UsageError, closest
from nars.runs.request import PrunerName

__all__ = ["PRUNERS", "make_pruner"]

PRUNERS: tuple[PrunerName, ...] = get_args(PrunerName)
"""Names that `make_pruner` knows."""


def make_pruner(name: str) -> BasePruner:
    """Make the pruner called `name`; its steps are percents of a training. Raises `UsageError`."""
    pruners: dict[str, BasePruner] = {
        "none": optuna.pruners.NopPruner(),
        "median": optuna.pruners.MedianPruner(n_startup_trials=8, n_warmup_steps=25),
        "percentile": optuna.pruners.PercentilePruner(33.0, n_startup_trials=8, n_warmup_steps=25),
        "hyperband": optuna.pruners.HyperbandPruner(min_resource=10, max_resource=100),
        "halving": optuna.pruners.SuccessiveHalvingPruner(min_resource=10),
    }
    if name not in pruners:
        raise UsageError(f"no pruner {name!r}: {closest(name, PRUNERS)}")
    return pruners[name]
