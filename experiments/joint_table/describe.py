"""Describes the joint tables, and how well the surrogates that benchmarks search predict them.

    python -m experiments.joint_table.describe

Costs minutes on one core. Expected: 600 candidates in each table; Spearman's correlation of the surrogate on
candidates it has not seen is .88 (digits) and .89 (Fashion-MNIST).
"""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from scipy.stats import kendalltau, spearmanr
from sklearn.model_selection import KFold

from experiments.joint_table import TABLES, table_space
from experiments.joint_table.train import FOLDER
from experiments.search_benchmark.tasks.joint import Surrogate, matrix_of

FOLDS = 10
"""Folds of the cross-validation."""


def describe(table: pd.DataFrame) -> str:
    """Lines on a table, complete or not; accuracies are in per cent."""
    accuracy = 100 * table["accuracy"]
    pairs = 100 * table.pivot_table(index="index", columns="seed", values="accuracy").dropna()
    between = (pairs[0] - pairs[1]).abs() / np.sqrt(2) if pairs.shape[1] > 1 else pd.Series(dtype=float)
    first, predicted = cross_validated(table)
    truth = 100 * first["accuracy"].to_numpy()
    better, errors = truth >= np.median(truth), np.abs(predicted - truth)
    lines = [
        f"{table['index'].nunique()} candidates, {len(between)} of them trained twice",
        f"accuracy: {_quantiles(accuracy)}, at most {accuracy.max():.1f}",
        f"standard deviation between two seeds: {np.sqrt((between**2).mean()):.2f}",
        f"  of each pair: {_quantiles(between)}",
        f"  of the quarters of the pairs, the worst candidates first: {_by_quarter(pairs, between)}",
        f"surrogate on candidates not seen, {FOLDS} folds:",
        f"  Spearman {spearmanr(predicted, truth).statistic:.2f}, "
        f"Kendall {kendalltau(predicted, truth).statistic:.2f}, "
        f"among the better half {kendalltau(predicted[better], truth[better]).statistic:.2f}",
        f"  RMSE {np.sqrt((errors**2).mean()):.2f}, errors: {_quantiles(errors)}",
    ]
    return "\n".join(f"  {line}" for line in lines)


def _by_quarter(pairs: pd.DataFrame, between: pd.Series) -> str:
    """Root mean square of `between` [n] in each quarter of the pairs, ordered by mean accuracy."""
    if not len(between):
        return "none"
    quarters = np.array_split(between.to_numpy()[np.argsort(pairs.mean(axis=1).to_numpy())], 4)
    return ", ".join(f"{np.sqrt((part**2).mean()):.2f}" for part in quarters)


def _quantiles(values: ArrayLike) -> str:
    low, middle, high = np.quantile(np.asarray(values), [0.1, 0.5, 0.9]) if np.size(values) else [np.nan] * 3
    return f"{low:.2f}, {middle:.2f}, {high:.2f} (10 %, median, 90 %)"


def cross_validated(table: pd.DataFrame) -> tuple[pd.DataFrame, NDArray[np.float64]]:
    """First training of every candidate, and the predictions [n] of surrogates that have not seen it."""
    space, first = table_space(), table[table["seed"] == 0].reset_index(drop=True)
    predicted = np.zeros(len(first))
    for train, test in KFold(FOLDS, shuffle=True, random_state=0).split(first):
        known = table[table["index"].isin(first["index"][train])]
        predicted[test] = Surrogate.fit(space, known).score(matrix_of(space, first.iloc[test]))
    return first, predicted


def main() -> None:
    for name in TABLES:
        path = FOLDER / f"{name}.csv.gz"
        if path.exists():
            print(f"{name}\n{describe(pd.read_csv(path, keep_default_na=False))}")


if __name__ == "__main__":
    main()
