"""Lessons of a finished search about its space: which dimensions matter, and which recipes suit."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import optuna
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from optuna.distributions import CategoricalDistribution
from optuna.importance import FanovaImportanceEvaluator
from optuna.study import Study
from optuna.trial import FrozenTrial, TrialState

from nars.searching.confirm import Measured, measured
from nars.space.base import SearchSpace
from nars.space.dimensions import is_recipe
from nars.space.genotypes import from_genotypes

__all__ = ["Importance", "calibration", "importance", "recipes_by_size"]

Floats = NDArray[np.float64]

_FEWEST_TRIALS = 10
"""Trials below which importances are not computed."""

_SHUFFLES = 3
"""Times that the scores are shuffled to estimate importances that arise by chance."""

_FEWEST_PER_SIZE = 6
"""Candidates that each of the three sizes needs."""


@dataclass(frozen=True)
class Importance:
    """Shares of the score's variance that each dimension explains alone, by functional ANOVA.

    Source: Hutter, Hoos, Leyton-Brown, "An Efficient Approach for Assessing Hyperparameter
    Importance", ICML 2014. A random forest models the score.
    """

    shares: dict[str, float]
    """Share of each dimension, the largest first; all shares add up to 1."""
    chance: float
    """Largest share of any dimension after the scores are shuffled (mean of three shuffles)."""
    recipe: float
    """Share of all recipe dimensions together; the architecture has the rest."""
    recipe_by_chance: float
    """Share of all recipe dimensions after the scores are shuffled (mean of three shuffles)."""
    trials: int
    """Number of trials that the shares are computed from."""


def importance(study: Study, seed: int = 0) -> Importance | None:
    """Compute how much each dimension matters for the first objective.

    Returns None for fewer than 10 complete trials, or if all of them have the same score or the same values.
    """
    complete = study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))
    scores = np.array([trial.values[0] for trial in complete])
    if len(scores) < _FEWEST_TRIALS or np.ptp(scores) == 0 or not _differ(complete):
        return None
    rng = np.random.default_rng(seed)
    shares = _shares(study, complete, scores, seed)
    shuffled = [_shares(study, complete, rng.permutation(scores), seed) for _ in range(_SHUFFLES)]
    return Importance(
        shares=shares,
        chance=float(np.mean([max(by_chance.values()) for by_chance in shuffled])),
        recipe=_recipe(shares),
        recipe_by_chance=float(np.mean([_recipe(by_chance) for by_chance in shuffled])),
        trials=len(complete),
    )


def _differ(trials: Sequence[FrozenTrial]) -> bool:
    """Whether the trials differ in a dimension that all of them have."""
    shared = set.intersection(*(set(trial.params) for trial in trials))
    return any(trial.params[name] != trials[0].params[name] for trial in trials for name in shared)


def _shares(study: Study, trials: Sequence[FrozenTrial], scores: Floats, seed: int) -> dict[str, float]:
    """Compute the share of each dimension, with these scores [n] of the trials.

    Optuna leaves out trials without a finite score, here those that have been completed meanwhile.
    """
    by_number = {trial.number: float(score) for trial, score in zip(trials, scores, strict=True)}
    shares = optuna.importance.get_param_importances(
        study,
        evaluator=FanovaImportanceEvaluator(n_trees=32, seed=seed),
        target=lambda trial: by_number.get(trial.number, math.nan),
    )
    return {name: float(share) for name, share in shares.items()}


def _recipe(shares: Mapping[str, float]) -> float:
    """Add up the shares of the recipe dimensions."""
    return sum(share for name, share in shares.items() if is_recipe(name))


def recipes_by_size(trials: Sequence[FrozenTrial], space: SearchSpace) -> pd.DataFrame | None:
    """Tabulate the typical recipes of the best third of small, medium and large candidates, by MACs.

    The table has a row for each recipe dimension that is searched and a column for each size, with
    the median of numbers and the most frequent of choices. Returns None if a size would have fewer
    than 6 candidates, or if no recipe dimension is searched.
    """
    candidates = measured(trials)
    if len(candidates) < 3 * _FEWEST_PER_SIZE or not space.recipe_names:
        return None
    macs = space.statistics(from_genotypes(space, [candidate.params for candidate in candidates]))["macs"]
    by_size = np.array_split(np.argsort(macs, kind="stable"), 3)
    columns = {}
    for size, rows in zip(("small", "medium", "large"), by_size, strict=True):
        ranked = sorted((candidates[row] for row in rows), key=lambda candidate: -candidate.mean[0])
        best = ranked[: len(ranked) // 3]
        label = f"{size}: {macs[rows].min() / 1e6:.1f} to {macs[rows].max() / 1e6:.1f} MMACs"
        columns[label] = [_typical(space, dimension, best) for dimension in space.recipe_names]
    return pd.DataFrame(columns, index=pd.Index(space.recipe_names, name="dimension"))


def _typical(space: SearchSpace, dimension: str, candidates: Sequence[Measured]) -> Any:
    """Return the most frequent choice of a dimension, or the median of its numbers."""
    values = pd.Series([candidate.params[dimension] for candidate in candidates])
    is_choice = isinstance(space.distributions[dimension], CategoricalDistribution)
    return values.mode().tolist()[0] if is_choice else float(values.median())


def calibration(guesses: ArrayLike, scores: ArrayLike, spreads: ArrayLike) -> tuple[float, float]:
    """Return the shares of scores [n] within one and within two predicted standard deviations.

    A calibrated predictor has 0.68 and 0.95.
    """
    errors, sd = np.abs(np.asarray(scores) - np.asarray(guesses)), np.asarray(spreads)
    return float(np.mean(errors <= sd)), float(np.mean(errors <= 2 * sd))
