"""Trials of workers: of this process, and of one that is gone."""

from __future__ import annotations

from typing import Any

import optuna
from optuna.study import Study
from optuna.trial import Trial
from stub_task import SPACE, config

from nars.workers.liveness import name_of, worker_name

__all__ = ["DEAD", "HERE", "ask", "empty"]

DEAD = f"{name_of(999999999)}1.00"
"""The name of a worker of this machine that is gone."""

HERE = worker_name()
"""The name of this process as a worker."""


def empty() -> Study:
    """A study of the stub task without trials."""
    study = optuna.create_study(direction="maximize", sampler=optuna.samplers.RandomSampler(seed=0))
    study.set_user_attr("config", config().to_yaml())
    return study


def ask(study: Study, worker: str, *, whole: bool = True, **known: Any) -> Trial:
    """A new trial of a worker, with attributes; without parameters unless it is `whole`."""
    trial = study.ask(dict(SPACE.distributions) if whole else None)
    for key, value in {"worker": worker, **known}.items():
        trial.set_user_attr(key, value)
    return trial
