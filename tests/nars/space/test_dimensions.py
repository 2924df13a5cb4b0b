"""Distributions as arrays: every kind that Optuna has, between the unit cube, its values and features."""

from __future__ import annotations

import numpy as np
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

from nars.space.dimensions import Dimensions
from nars.space.values import contains
from search_spaces.spaces import space

KINDS = {
    "choices": CategoricalDistribution([None, True, "x"]),
    "integers": IntDistribution(3, 9, step=3),
    "many integers": IntDistribution(0, 100),
    "logarithmic integers": IntDistribution(1, 64, log=True),
    "numbers": FloatDistribution(-1, 2),
    "stepped numbers": FloatDistribution(0, 1, step=0.25),
    "logarithmic numbers": FloatDistribution(1e-4, 0.3, log=True),
}
ALL = Dimensions.of(KINDS)
UNIT = np.concatenate([np.zeros((1, 7)), np.ones((1, 7)), np.random.default_rng(0).random((500, 7))])


def test_values_belong_to_their_distributions_and_reach_both_ends() -> None:
    matrix = ALL.from_unit(UNIT)
    for dist, column in zip(KINDS.values(), matrix.T, strict=True):
        assert all(contains(dist, dist.to_external_repr(value)) for value in column.tolist())
    np.testing.assert_allclose(matrix[0], [0, 3, 0, 1, -1, 0, 1e-4])
    np.testing.assert_allclose(matrix[1], [2, 9, 100, 64, 2, 1, 0.3])


def test_values_of_a_counted_dimension_are_equally_likely() -> None:
    evenly = (np.arange(1200)[:, None] + 0.5) / 1200 * np.ones(7)
    for at, count in ((0, 3), (1, 3), (5, 5)):
        assert (
            np.unique(ALL.from_unit(evenly)[:, at], return_counts=True)[1].tolist() == [1200 // count] * count
        )


def test_steps_that_rounding_leads_beyond_a_range_end_in_it() -> None:
    """3 * .1 is above .3: Optuna would draw another value for a trial that is given it."""
    range_of = FloatDistribution(0, 0.3, step=0.1)
    values = Dimensions.of({"x": range_of}).from_unit(np.array([[0.0], [0.3], [0.6], [0.9]]))[:, 0]
    assert values.tolist() == [0, 0.1, 0.2, 0.3]


def test_the_unit_cube_is_the_way_back() -> None:
    matrix = ALL.from_unit(UNIT)
    np.testing.assert_allclose(ALL.from_unit(ALL.to_unit(matrix)), matrix)


def test_features_of_every_kind() -> None:
    matrix = np.array([[1, 6, 25, 8, 0.5, 0.25, 3e-3]])
    choice, integers = [0, 1, 0], [0.5, 1, 0]
    assert ALL.features(matrix)[0, :8].tolist() == [*choice, *integers, 0.25, 0.5]
    logarithmic = np.log(3e-3 / 1e-4) / np.log(0.3 / 1e-4)
    np.testing.assert_allclose(ALL.features(matrix)[0, 8:], [0.5, 0.25, logarithmic], rtol=1e-6)
    assert ALL.source.tolist() == [0, 0, 0, 1, 1, 1, 2, 3, 4, 5, 6]


def test_many_rows_are_encoded_like_few() -> None:
    many = np.tile(ALL.from_unit(UNIT), (20, 1))
    np.testing.assert_array_equal(ALL.features(many)[: len(UNIT)], ALL.features(many[: len(UNIT)]))
    np.testing.assert_array_equal(ALL.features(many)[-len(UNIT) :], ALL.features(many[: len(UNIT)]))


def test_which_dimensions_train_a_network() -> None:
    numbers = FloatDistribution(0, 1)
    dimensions = Dimensions.of({"stage1.depth": numbers, "recipe.lr": numbers, "recipes": numbers})
    assert dimensions.recipe.tolist() == [False, True, False]


def test_a_domain_makes_its_dimensions_once() -> None:
    micro = space("micro")
    assert micro.dimensions is micro.dimensions
