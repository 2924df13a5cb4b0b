"""What a finished search leaves for a warm start: its candidates and their scores."""

from __future__ import annotations

from collections.abc import Sequence

from optuna.study import Study

from nars.errors import UsageError
from nars.predictors.knowledge import EarlierSearch
from nars.space.genotypes import Genotype
from nars.trials import labels

__all__ = ["learned"]

LEAST = 8
"""Trials from which on a search teaches anything."""


def learned(study: Study, run: str, names: Sequence[str]) -> EarlierSearch:
    """What a study of these dimensions measured. Raises `UsageError` where that is too little."""
    known = [
        (trial.params, found[0])
        for trial in study.get_trials(deepcopy=False)
        if set(names) <= trial.params.keys() and (found := labels(study, trial)) is not None
    ]
    if len(known) < LEAST:
        raise UsageError(f"{run} has {len(known)} scored trials; a warm start needs {LEAST} or more")
    genotypes: list[Genotype] = [{name: params[name] for name in names} for params, _ in known]
    return EarlierSearch(run=run, genotypes=tuple(genotypes), scores=tuple(score for _, score in known))
