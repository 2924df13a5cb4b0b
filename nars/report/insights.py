"""What a finished search teaches about its space: which dimensions matter, and which recipes suit."""

from __future__ import annotations

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
from nars.space import Space
from nars.space.genotypes import from_genotypes

__all__ = ["Importance", "calibration", "importance", "recipes_by_size"]

Floats = NDArray[np.float64]

LEAST = 10
"""Candidates below which nothing is said of importance."""
SHUFFLES = 3
GROUP = 6
"""Candidates in each group of sizes at least."""


@dataclass(frozen=True)
class Importance:
    """Shares of the score's variance that each dimension explains alone, by functional ANOVA.

    Source: Hutter, Hoos, Leyton-Brown, "An Efficient Approach for Assessing Hyperparameter
    Importance", ICML 2014; a random forest stands for the score.
    """

    shares: dict[str, float]
    """Per dimension, the largest first; they add up to 1."""
    chance: float
    """The largest share that any dimension gets once the scores are shuffled (mean of three shuffles)."""
    recipe: float
    """Of all recipe dimensions together; the architecture has the rest."""
    recipe_by_chance: float
    """The same once the scores are shuffled."""
    trials: int


def importance(study: Study, seed: int = 0) -> Importance | None:
    """Of every dimension for the first objective; None for fewer than 10 trials, or all equal ones."""
    complete = study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))
    scores = np.array([trial.values[0] for trial in complete])
    if len(scores) < LEAST or np.ptp(scores) == 0:
        return None
    rng = np.random.default_rng(seed)
    shares = _shares(study, complete, scores, seed)
    shuffled = [_shares(study, complete, rng.permutation(scores), seed) for _ in range(SHUFFLES)]
    return Importance(
        shares=shares,
        chance=float(np.mean([max(each.values()) for each in shuffled])),
        recipe=_recipe(shares),
        recipe_by_chance=float(np.mean([_recipe(each) for each in shuffled])),
        trials=len(complete),
    )


def _shares(study: Study, trials: Sequence[FrozenTrial], scores: Floats, seed: int) -> dict[str, float]:
    by_number = {trial.number: float(score) for trial, score in zip(trials, scores, strict=True)}
    shares = optuna.importance.get_param_importances(
        study,
        evaluator=FanovaImportanceEvaluator(n_trees=32, seed=seed),
        target=lambda trial: by_number[trial.number],
    )
    return {name: float(share) for name, share in shares.items()}


def _recipe(shares: Mapping[str, float]) -> float:
    return sum(share for name, share in shares.items() if name.startswith("recipe."))


def recipes_by_size(trials: Sequence[FrozenTrial], space: Space) -> pd.DataFrame | None:
    """What the best third of small, medium and large candidates (by MACs) were trained with.

    One row for each open recipe dimension: the median of numbers, the most frequent of choices, in a
    column for each size. None where a size would have fewer than 6 candidates.
    """
    known = measured(trials)
    if len(known) < 3 * GROUP or not space.recipe_names:
        return None
    macs = space.statistics(from_genotypes(space, [each.params for each in known]))["macs"]
    by_size = np.array_split(np.argsort(macs, kind="stable"), 3)
    columns = {}
    for name, rows in zip(("small", "medium", "large"), by_size, strict=True):
        group = sorted((known[row] for row in rows), key=lambda each: -each.mean[0])
        label = f"{name}: {macs[rows].min() / 1e6:.1f} to {macs[rows].max() / 1e6:.1f} MMACs"
        columns[label] = [_typical(space, each, group[: len(group) // 3]) for each in space.recipe_names]
    return pd.DataFrame(columns, index=pd.Index(space.recipe_names, name="dimension"))


def _typical(space: Space, name: str, candidates: Sequence[Measured]) -> Any:
    values = pd.Series([each.params[name] for each in candidates])
    is_choice = isinstance(space.distributions[name], CategoricalDistribution)
    return values.mode().tolist()[0] if is_choice else float(values.median())


def calibration(guesses: ArrayLike, scores: ArrayLike, spreads: ArrayLike) -> tuple[float, float]:
    """Share of scores within one and two predicted standard deviations; 0.68 and 0.95 where calibrated."""
    off = np.abs(np.asarray(scores) - np.asarray(guesses))
    one, two = (float(np.mean(off <= times * np.asarray(spreads))) for times in (1, 2))
    return one, two
