"""Dominance between points of several objectives."""

from __future__ import annotations

import numpy as np

from nars.sampling.pareto import dominated


def test_dominated_agrees_with_the_definition_and_spares_equals() -> None:
    rng = np.random.default_rng(0)
    values = np.concatenate([rng.integers(0, 5, (40, 2)), [[9, 9], [9, 9]]]).astype(float)
    expected = [any((b >= a).all() and (b > a).any() for b in values) for a in values]
    assert dominated(values).tolist() == expected
    assert not dominated(values)[-2:].any()
