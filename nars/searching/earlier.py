"""The lessons of a finished search for a warm start: its candidates and their scores."""

from __future__ import annotations

from collections.abc import Sequence

from optuna.study import Study

from nars.errors import UsageError
from nars.foreign.parts import counted
from nars.predictors.knowledge import FEWEST_TRIALS, EarlierSearch
from nars.space.genotypes import Genotype
from nars.trials import labels

__all__ = ["learned"]


def learned(study: Study, run: str, names: Sequence[str]) -> EarlierSearch:
    """Return the scores of a study's candidates, with these dimensions of their genotypes.

    `run` is what messages call the study. Raises `UsageError` if too few trials have all dimensions
    and a score.
    """
    genotypes: list[Genotype] = []
    scores: list[float] = []
    for trial in study.get_trials(deepcopy=False):
        values = labels(study, trial)
        if values is not None and set(names) <= trial.params.keys():
            genotypes.append({name: trial.params[name] for name in names})
            scores.append(values[0])
    if len(scores) < FEWEST_TRIALS:
        needed = f"a warm start needs {FEWEST_TRIALS} or more"
        raise UsageError(f"{run} has {counted(len(scores), 'scored trial')}; {needed}")
    return EarlierSearch(run=run, genotypes=tuple(genotypes), scores=tuple(scores))
