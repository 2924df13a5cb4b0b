from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import kendalltau, spearmanr

from nars.searching.ranking import Agreement, kendall, spearman


@pytest.mark.parametrize(("ours", "theirs"), [(kendall, kendalltau), (spearman, spearmanr)])
@pytest.mark.parametrize("digits", [1, 8])  # with many ties and with none
def test_values_are_scipys(ours: object, theirs: object, digits: int) -> None:
    rng = np.random.default_rng(0)
    a = rng.normal(size=20).round(digits)
    b = (a + rng.normal(size=20)).round(digits)
    assert callable(ours)
    assert callable(theirs)
    assert ours(a, b).value == pytest.approx(theirs(a, b).statistic)


def test_interval_covers_the_truth_about_as_often_as_it_says() -> None:
    rng = np.random.default_rng(1)
    truth = 2 / np.pi * np.arcsin(0.7)  # Kendall's tau of a normal pair with correlation 0.7
    hits = 0
    for _ in range(25):
        a = rng.normal(size=24)
        found = kendall(a, 0.7 * a + np.sqrt(1 - 0.7**2) * rng.normal(size=24))
        assert found is not None
        hits += found.low <= truth <= found.high
    assert hits >= 20  # of 25, 24 expected at 95 %; fewer than 20 happens once in 1000


def test_equal_scores_have_equal_intervals() -> None:
    a, b = [1, 2, 3, 4, 5], [1, 3, 2, 5, 4]
    assert kendall(a, b) == kendall(a, b)
    assert spearman(a, [-each for each in a]) == Agreement(-1.0, -1.0, -1.0, 5)


@pytest.mark.parametrize(("a", "b"), [([1, 2, 3], [1, 2, 3]), ([1, 1, 1, 1], [1, 2, 3, 4])])
def test_nothing_to_say(a: list[int], b: list[int]) -> None:
    assert kendall(a, b) is None
    assert spearman(b, a) is None
