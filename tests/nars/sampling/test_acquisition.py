"""What is worth training: improvement on what is measured, and candidates that differ."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from stub_task import SPACE

from nars.internals import hypervolume
from nars.predictors.scores import LabelScale
from nars.sampling.acquisition import (
    OPTIMISM,
    Acquisition,
    ExpectedImprovement,
    Floats,
    Front,
    make_acquisition,
)
from nars.sampling.evolution import Evolution, Population
from nars.sampling.predictions import Predictions
from nars.space import genotypes
from nars.space.genotypes import Matrix

ROWS = genotypes.sample(SPACE, 64, np.random.default_rng(0))
NONE = ROWS[:0]
MACS = SPACE.statistics(ROWS)["macs"]
UNIT = {"accuracy": LabelScale.unit()}


class Table:
    """Predicts what it is told, by row of `ROWS`; rows are as alike as `correlation` [64, 64] says."""

    def __init__(self, mean: Any, std: Any, correlation: Any = None) -> None:
        pairs = np.stack([np.broadcast_to(mean, 64), np.broadcast_to(std, 64)], axis=1)
        self.known = {row.tobytes(): pair for row, pair in zip(ROWS, pairs, strict=True)}
        self.number = {row.tobytes(): at for at, row in enumerate(ROWS)}
        self.correlation = np.eye(64) if correlation is None else correlation

    def fit(self, X: Matrix, y: Floats) -> Any:  # noqa: N803 - scikit-learn's name
        return self

    def predict(self, X: Matrix, return_std: bool = False, return_cov: bool = False) -> Any:  # noqa: N803 - scikit-learn's name
        mean, std = np.array([self.known[row.tobytes()] for row in X]).reshape(-1, 2).T
        at = [self.number[row.tobytes()] for row in X]
        if return_cov:
            return mean, std[:, None] * self.correlation[np.ix_(at, at)] * std
        return (mean, std) if return_std else mean


def acquisition(
    mean: Any,
    std: Any,
    sign: float = 1.0,
    measured: int = 8,
    correlation: Any = None,
) -> ExpectedImprovement:
    predictors = {"accuracy": Table(mean, std, correlation)}
    return ExpectedImprovement(Predictions(SPACE, {"accuracy": sign}, predictors, UNIT), ROWS[:measured])


def front(mean: Any, std: Any = 0.0, scales: Any = UNIT) -> Front:
    signs = {"accuracy": 1.0, "macs": -1.0}
    return Front(Predictions(SPACE, signs, {"accuracy": Table(mean, std)}, scales), ROWS[:8])


def choose(made: Acquisition, pending: Matrix, count: int) -> Matrix:
    return made.choose(Population(ROWS[8:], made(ROWS[8:])), pending, count)


def test_one_objective_is_improved_and_several_make_a_front() -> None:
    table = {"accuracy": Table(0.0, 1.0)}
    one = make_acquisition(Predictions(SPACE, {"accuracy": 1.0}, table, UNIT), ROWS[:8])
    two = make_acquisition(Predictions(SPACE, {"accuracy": 1.0, "macs": -1.0}, table, UNIT), ROWS[:8])
    assert (type(one), type(two)) == (ExpectedImprovement, Front)
    assert one(ROWS).shape == (64, 1)
    assert two(ROWS).shape == (64, 2)
    last, scored = Population(ROWS[:1], one(ROWS[:1])), Population(ROWS, one(ROWS))
    evolution = Evolution(last, scored, generations=1, evaluations=64)
    assert one.contenders(evolution) is scored
    assert two.contenders(evolution) is last


@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_expected_improvement_is_that_of_many_draws(sign: float) -> None:
    rng = np.random.default_rng(1)
    mean, std = rng.normal(size=64), rng.uniform(0.1, 1, 64)
    best = (sign * mean[:8]).max()
    drawn = rng.normal(sign * mean, std, size=(200_000, 64))
    expected = np.maximum(drawn - best, 0).mean(axis=0)
    np.testing.assert_allclose(acquisition(mean, std, sign)(ROWS)[:, 0], expected, atol=0.01)


def test_what_is_certain_is_worth_what_it_gains() -> None:
    mean = np.linspace(0, 1, 64)
    np.testing.assert_allclose(acquisition(mean, 0.0)(ROWS)[:, 0], np.maximum(mean - mean[7], 0), atol=1e-12)


def test_no_hope_is_put_in_what_is_far_below() -> None:
    """Failed trainings stretch the scale of the scores, and with it what is uncertain among them."""
    measured = np.append(np.linspace(0.7, 0.8, 7), 0.0)
    scale = LabelScale.of(measured)
    z = scale.forward(np.append(measured, np.full(56, 0.75)))
    made = front(z, 0.3, {"accuracy": scale})
    worth = made(ROWS)[:, 0]
    np.testing.assert_allclose(worth, scale.inverse(z + OPTIMISM * 0.3))
    assert np.argmin(worth) == 7
    assert worth[7] < 0.7 - 3 * scale.spread


def twins() -> Any:
    """Correlations [64, 64]: rows 10 and 11 are nearly the same candidate, as are 12 and 13."""
    correlation = np.eye(64)
    for one, other in ((10, 11), (12, 13)):
        correlation[one, other] = correlation[other, one] = 0.999
    return correlation


def chosen_rows(made: Acquisition, pending: Matrix, count: int) -> list[int]:
    return [int(np.flatnonzero((row == ROWS).all(axis=1))[0]) for row in choose(made, pending, count)]


def test_a_batch_takes_what_it_chose_before_for_measured() -> None:
    """Of two candidates that are alike the second tells nothing new, though alone it is worth as much."""
    mean = np.zeros(64)
    mean[10:14] = [0.5, 0.49, 0.4, 0.39]
    made = acquisition(mean, 0.3, correlation=twins())
    assert np.argsort(-made(ROWS)[:, 0])[:4].tolist() == [10, 11, 12, 13]
    first = chosen_rows(made, NONE, 4)
    assert first[:2] == [10, 12]
    assert not {11, 13} & set(first)
    independent = acquisition(mean, 0.3)
    assert chosen_rows(independent, NONE, 4) == [10, 11, 12, 13]


def test_what_runs_is_taken_for_measured() -> None:
    mean = np.zeros(64)
    mean[10:14] = [0.5, 0.49, 0.4, 0.39]
    made = acquisition(mean, 0.3, correlation=twins())
    assert chosen_rows(made, ROWS[[10]], 1) == [12]
    assert chosen_rows(made, ROWS[[10, 12]], 1)[0] not in (11, 13)


def test_the_improvement_of_a_batch_is_that_of_many_draws() -> None:
    """Two candidates of equal means: the second is the one that leaves most to be gained beside the first."""
    rng = np.random.default_rng(2)
    correlation = np.eye(64)
    correlation[20, 21] = correlation[21, 20] = 0.8
    mean = np.full(64, -1.0)
    mean[20:23] = [0.3, 0.29, 0.25]
    made = acquisition(mean, 0.5, correlation=correlation)
    drawn = rng.multivariate_normal(mean, 0.25 * correlation, size=200_000)
    best = made.measured.max()
    gains = {at: np.maximum(drawn[:, [20, at]].max(axis=1) - best, 0).mean() for at in (21, 22)}
    assert gains[22] > gains[21]
    assert chosen_rows(made, NONE, 2) == [20, 22]


def test_where_nothing_is_uncertain_the_best_are_chosen() -> None:
    mean = np.linspace(0, 1, 64)
    made = acquisition(mean, 0.0)
    assert chosen_rows(made, NONE, 1) == [63]
    assert len(set(chosen_rows(made, NONE, 5))) == 5


def test_several_objectives_are_optimistic_where_they_are_predicted() -> None:
    made = front(np.linspace(0, 1, 64), std=0.25)
    plain = front(np.linspace(0, 1, 64))
    assert (made(ROWS)[:, 0] > plain(ROWS)[:, 0]).all()
    np.testing.assert_array_equal(made(ROWS)[:, 1], -MACS)


@pytest.mark.parametrize("seed", range(5))
def test_a_batch_for_a_front_is_that_of_looking_at_every_candidate_each_time(seed: int) -> None:
    made = front(np.random.default_rng(seed).random(64))
    worth = made(ROWS[8:])
    every = np.concatenate([made.measured, worth])
    losses = 1 - (every - every.min(axis=0)) / np.ptp(every, axis=0)
    known, left, expected = list(range(8)), list(range(8, 64)), []
    while len(expected) < 12:
        volumes = [hypervolume(losses[[*known, at]], np.full(2, 1.1)) for at in left]
        expected.append(left.pop(int(np.argmax(volumes))))
        known.append(expected[-1])
    assert chosen_rows(made, NONE, 12) == expected


def test_a_batch_for_a_front_is_spread_along_it() -> None:
    """The second of a batch is not the neighbour of the first, though it would add almost as much alone."""
    order = np.argsort(MACS)
    mean = np.empty(64)
    mean[order] = np.sqrt(np.linspace(0, 1, 64))  # all nondominated
    made = front(mean)
    cost = np.sort(SPACE.statistics(choose(made, NONE, 6))["macs"])
    assert cost[0] < np.quantile(MACS, 0.35)
    assert cost[-1] > np.quantile(MACS, 0.65)


def test_what_runs_is_part_of_the_front() -> None:
    mean = np.empty(64)
    mean[np.argsort(MACS)] = np.sqrt(np.linspace(0, 1, 64))  # all nondominated
    made = front(mean)
    first = choose(made, NONE, 1)
    second = choose(made, first, 1)
    assert not np.array_equal(first, second)


def test_nothing_to_choose_from() -> None:
    assert acquisition(0.0, 1.0).choose(Population(NONE, np.zeros((0, 1))), NONE, 3).shape == NONE.shape
    assert front(0.0).choose(Population(NONE, np.zeros((0, 2))), NONE, 3).shape == NONE.shape
