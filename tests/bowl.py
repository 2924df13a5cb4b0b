"""A plain study, whose objective is a bowl of two parameters."""

from __future__ import annotations

from typing import Any

import optuna
from optuna.distributions import BaseDistribution, FloatDistribution
from optuna.study import Study
from optuna.trial import Trial

from nars.sampling.sampler import NarsSampler

__all__ = ["BOWL", "bowl", "distinct", "study_of"]


BOWL: dict[str, BaseDistribution] = {"x": FloatDistribution(0, 1), "y": FloatDistribution(0, 1)}


def study_of(*given: Any, directions: tuple[str, ...] = ("minimize",), **options: Any) -> Study:
    return optuna.create_study(directions=directions, sampler=NarsSampler(*given, **({"seed": 0} | options)))


def bowl(trial: Trial) -> float:
    return (trial.suggest_float("x", 0, 1) - 0.3) ** 2 + (trial.suggest_float("y", 0, 1) - 0.7) ** 2


def distinct(study: Study) -> int:
    return len({str(sorted(trial.params.items())) for trial in study.trials})
