"""Matrices of genotypes: to and from Optuna's values, evenly sampled, varied within the space."""

from __future__ import annotations

import numpy as np
import pytest

from nars.space import genotypes
from nars.space.values import contains
from search_spaces.spaces import space

MICRO = space("micro")


def test_matrix_and_genotypes_are_inverse() -> None:
    matrix = genotypes.sample(MICRO, 64, np.random.default_rng(0))
    again = genotypes.from_genotypes(MICRO, genotypes.to_genotypes(MICRO, matrix))
    np.testing.assert_array_equal(again, matrix)


@pytest.mark.parametrize("quasi", [True, False])
def test_samples_belong_to_the_space(quasi: bool) -> None:
    matrix = genotypes.sample(MICRO, 1000, np.random.default_rng(0), quasi=quasi)
    for dist, column in zip(MICRO.distributions.values(), matrix.T, strict=True):
        assert all(contains(dist, dist.to_external_repr(value)) for value in column.tolist())


def test_same_generator_gives_same_samples() -> None:
    one, two = (genotypes.sample(MICRO, 10, np.random.default_rng(5)) for _ in range(2))
    np.testing.assert_array_equal(one, two)


def test_unit_cube_round_trip() -> None:
    matrix = genotypes.sample(MICRO, 500, np.random.default_rng(1))
    np.testing.assert_allclose(MICRO.dimensions.from_unit(MICRO.dimensions.to_unit(matrix)), matrix)


def test_features_are_scaled_and_split() -> None:
    found = MICRO.dimensions.features(genotypes.sample(MICRO, 500, np.random.default_rng(1)))
    assert found.min() >= 0
    assert found.max() <= 1
    mask = genotypes.is_architecture_feature(MICRO)
    assert mask.shape == (found.shape[1],)
    assert (~mask).sum() == 17  # optimizer in 3, ema in 2, eight numbers, four steps of epochs


def test_mutation_stays_close_and_inside() -> None:
    rng = np.random.default_rng(2)
    parents = genotypes.sample(MICRO, 2000, rng)
    children = genotypes.mutate(MICRO, parents, rng)
    for dist, column in zip(MICRO.distributions.values(), children.T, strict=True):
        assert all(contains(dist, dist.to_external_repr(value)) for value in np.unique(column).tolist())
    changed = (children != parents).sum(axis=1)
    assert changed.mean() < 3  # about one value, and what becomes inactive with it
    assert (changed > 0).mean() > 0.5


def test_crossover_takes_every_value_from_a_parent() -> None:
    rng = np.random.default_rng(3)
    a, b = genotypes.sample(MICRO, 200, rng), genotypes.sample(MICRO, 200, rng)
    child = genotypes.crossover(MICRO, a, b, rng)
    index = list(MICRO.distributions).index("stem.channels")
    assert ((child[:, index] == a[:, index]) | (child[:, index] == b[:, index])).all()
    assert (child != a).any()
    assert (child != b).any()


def test_a_space_without_dimensions() -> None:
    candidate = MICRO.decode(
        genotypes.to_genotypes(MICRO, genotypes.sample(MICRO, 1, np.random.default_rng()))[0]
    )
    fixed = MICRO.fix(candidate.architecture, candidate.recipe)
    matrix = genotypes.sample(fixed, 3, np.random.default_rng(0))
    assert matrix.shape == (3, 0)
    assert fixed.dimensions.features(matrix).shape == (3, 0)
    assert genotypes.to_genotypes(fixed, matrix) == [{}, {}, {}]
