"""What is worth training: improvement on what is measured, and candidates that differ."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from scipy.stats import norm
from stub_task import SPACE

from nars import genotypes
from nars.acquisition import APART, Acquisition, Floats
from nars.genotypes import Matrix

ROWS = genotypes.sample(SPACE, 64, np.random.default_rng(0))
NONE = ROWS[:0]
MACS = SPACE.statistics(ROWS)["macs"]


class Table:
    """Predicts what it is told, by row of `ROWS`."""

    def __init__(self, mean: Any, std: Any) -> None:
        pairs = np.stack([np.broadcast_to(mean, 64), np.broadcast_to(std, 64)], axis=1)
        self.known = {row.tobytes(): pair for row, pair in zip(ROWS, pairs, strict=True)}

    def fit(self, X: Matrix, y: Floats) -> Any:  # noqa: N803
        return self

    def predict(self, X: Matrix, return_std: bool = False) -> Any:  # noqa: N803
        return np.array([self.known[row.tobytes()] for row in X]).T


def acquisition(
    mean: Any, std: Any, sign: float = 1.0, measured: int = 8, spread: float = 1.0
) -> Acquisition:
    values = spread * np.linspace(-2, 2, measured)[:, None]
    return Acquisition(
        SPACE, ["accuracy"], np.array([sign]), {"accuracy": Table(mean, std)}, ROWS[:measured], values
    )


def front(mean: Any, std: float = 0.0) -> Acquisition:
    values = np.stack([np.linspace(0, 1, 8), MACS[:8]], axis=1)
    signs = np.array([1.0, -1.0])
    return Acquisition(SPACE, ["accuracy", "macs"], signs, {"accuracy": Table(mean, std)}, ROWS[:8], values)


@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_expected_improvement_is_that_of_many_draws(sign: float) -> None:
    rng = np.random.default_rng(1)
    mean, std = rng.normal(size=64), rng.uniform(0.1, 1, 64)
    best = (sign * mean[:8]).max()
    drawn = rng.normal(sign * mean, std, size=(200_000, 64))
    expected = np.maximum(drawn - best, 0).mean(axis=0)
    np.testing.assert_allclose(acquisition(mean, std, sign)(ROWS), expected, atol=0.01)


def test_what_is_certain_is_worth_what_it_gains() -> None:
    mean = np.linspace(0, 1, 64)
    np.testing.assert_allclose(acquisition(mean, 0.0)(ROWS), np.maximum(mean - mean[7], 0), atol=1e-12)


def test_no_hope_is_put_in_what_is_far_below_and_very_uncertain() -> None:
    """Such predictions come from scores whose scale is logarithmic far from the median."""
    mean, std = np.full(64, 0.58), np.full(64, 0.001)
    mean[9], std[9] = 0.0, 5.0
    worth = acquisition(mean, std, spread=0.02)(ROWS)
    assert worth[10] > worth[9]
    assert worth[9] < norm.pdf(5)


def test_chosen_by_worth_and_apart_from_each_other_and_from_what_runs() -> None:
    worth = np.linspace(1, 0, 64)
    made = acquisition(0.0, 1.0)
    near = ROWS[[0]].copy()
    near[0, list(SPACE.distributions).index("recipe.lr")] *= 1.5  # one dimension only
    pool = np.concatenate([ROWS[[0]], near, ROWS[1:]])
    chosen = made.choose(pool, np.concatenate([[2.0, 1.5], worth[1:]]), NONE, 5)
    np.testing.assert_array_equal(chosen, ROWS[:5])
    beside = made.choose(pool, np.concatenate([[2.0, 1.5], worth[1:]]), ROWS[[0]], 5)
    np.testing.assert_array_equal(beside, ROWS[1:6])


def test_where_all_are_alike_the_best_of_them_are_chosen() -> None:
    near = np.repeat(ROWS[[0]], 4, axis=0)
    column = list(SPACE.distributions).index("recipe.lr")
    near[:, column] = [0.02, 0.03, 0.05, 0.9]
    chosen = acquisition(0.0, 1.0).choose(near, np.array([1.0, 4.0, 3.0, 2.0]), NONE, 3)
    np.testing.assert_array_equal(chosen[:, column], [0.03, 0.05, 0.9])
    assert (np.abs(np.diff(genotypes.to_unit(SPACE, near)[:, column])) > APART).any()


def test_several_objectives_are_optimistic_where_they_are_predicted() -> None:
    made = front(np.linspace(0, 1, 64), std=0.25)
    plain = front(np.linspace(0, 1, 64))
    assert (made(ROWS)[:, 0] > plain(ROWS)[:, 0]).all()
    np.testing.assert_array_equal(made(ROWS)[:, 1], -MACS)


def test_a_batch_for_a_front_is_spread_along_it() -> None:
    """The second of a batch is not the neighbour of the first, though it would add almost as much alone."""
    order = np.argsort(MACS)
    mean = np.empty(64)
    mean[order] = np.sqrt(np.linspace(0, 1, 64))  # all nondominated
    made = front(mean)
    candidates = ROWS[8:]
    chosen = made.choose(candidates, made(candidates), NONE, 6)
    cost = np.sort(SPACE.statistics(chosen)["macs"])
    assert cost[0] < np.quantile(MACS, 0.35)
    assert cost[-1] > np.quantile(MACS, 0.65)


def test_nothing_to_choose_from() -> None:
    assert acquisition(0.0, 1.0).choose(NONE, np.zeros(0), NONE, 3).shape == NONE.shape
    assert front(0.0).choose(NONE, np.zeros((0, 2)), NONE, 3).shape == NONE.shape
