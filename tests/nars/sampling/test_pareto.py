"""Dominance between points of several objectives."""

from __future__ import annotations

import numpy as np

from nars.sampling.pareto import best_first, dominated, hypervolume, ranks


def test_dominated_agrees_with_the_definition_and_spares_equals() -> None:
    rng = np.random.default_rng(0)
    values = np.concatenate([rng.integers(0, 5, (40, 2)), [[9, 9], [9, 9]]]).astype(float)
    expected = [any((b >= a).all() and (b > a).any() for b in values) for a in values]
    assert dominated(values).tolist() == expected
    assert not dominated(values)[-2:].any()


SCORES = np.array([[0.0, 4.0], [3.0, 1.0], [1.0, 3.5], [4.0, 0.0], [0.0, 0.0], [2.0, 1.0]])


def test_ranks_are_fronts_one_behind_the_other() -> None:
    assert ranks(SCORES, 6).tolist() == [0, 0, 0, 0, 2, 1]


def test_the_best_are_of_the_first_fronts_and_the_least_crowded_there() -> None:
    assert set(best_first(SCORES, 2).tolist()) == {0, 3}  # the ends
    assert best_first(SCORES, 6)[2:].tolist() == [1, 2, 5, 4]
    assert best_first(np.array([[1.0], [3.0], [2.0]]), 2).tolist() == [1, 2]
    assert best_first(np.zeros((0, 2)), 3).tolist() == []


def test_hypervolume_is_what_points_dominate_above_a_reference() -> None:
    assert hypervolume(np.array([[2.0, 1.0], [1.0, 2.0], [-1.0, 9.0]]), np.zeros(2)) == 3
    assert hypervolume(np.array([[2.0], [5.0]]), np.ones(1)) == 4
    assert hypervolume(np.zeros((0, 2)), np.zeros(2)) == 0
