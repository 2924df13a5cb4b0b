"""Early stopping: from when on ranks are known, who is stopped then, and how final scores are estimated."""

from __future__ import annotations

import numpy as np
import pytest
from optuna.trial import TrialState, create_trial

from nars.searching.early_stopping import (
    FEWEST_CURVES,
    GRID,
    KEEP,
    TAUGHT_BY,
    THRESHOLD,
    EarlyStopping,
    score_at,
)
from nars.trials import Curve

EPOCHS = 10


def curves(count: int = 12, settles_at: float = 0.5, seed: int = 0) -> list[Curve]:
    """Make scores in reverse order before `settles_at` of a training and in their final order after it."""
    finals = np.random.default_rng(seed).permutation(np.linspace(0.5, 0.9, count))
    shares = [(epoch + 1) / EPOCHS for epoch in range(EPOCHS)]
    return [
        [(share, final * share if share >= settles_at else (1 - final) * share) for share in shares]
        for final in finals
    ]


@pytest.mark.parametrize("settles_at", [0.2, 0.5, 0.8])
def test_the_fraction_is_where_ranks_settle(settles_at: float) -> None:
    fraction = EarlyStopping(curves(settles_at=settles_at)).fraction
    assert fraction is not None
    # Scores between epochs are interpolated, so ranks settle within the epoch before.
    assert settles_at - 1 / EPOCHS <= fraction <= settles_at + 1e-9


def test_ranks_that_agree_early_by_chance_do_not_count() -> None:
    """The correlation must hold from the fraction on, not only at it."""
    found = [
        [(share, score if not 0.35 < share < 0.65 else 1 - score) for share, score in curve]
        for curve in curves(settles_at=0)
    ]
    fraction = EarlyStopping(found).fraction
    assert fraction is not None
    assert fraction > 0.6


def test_no_fraction_without_enough_curves_or_correlation() -> None:
    assert EarlyStopping([]).fraction is None
    assert EarlyStopping(curves(FEWEST_CURVES - 1)).fraction is None
    assert EarlyStopping(curves(FEWEST_CURVES)).fraction is not None
    assert EarlyStopping([[(1.0, 0.5)]] * 10).fraction is None  # all equal, so there are no ranks
    settled_at_the_end = EarlyStopping(curves(settles_at=1.0))
    assert settled_at_the_end.fraction is None
    assert not settled_at_the_end.should_stop([(0.9, 0.0)], curves())


def test_the_threshold_is_that_of_the_paper() -> None:
    assert THRESHOLD == 0.92
    noisy = [[(0.1, score), (1.0, score + shift)] for score, shift in zip(range(12), [0, 3] * 6, strict=True)]
    ranks = EarlyStopping(noisy, threshold=0.0).fraction
    assert ranks is not None
    assert EarlyStopping(noisy, threshold=0.99).fraction != ranks


def test_the_better_half_goes_on_and_the_decision_does_not_change_later() -> None:
    rule, peers = EarlyStopping(curves(settles_at=0.5)), curves(settles_at=0.5, seed=1)
    stopped = [rule.should_stop(curve[:5], peers) for curve in peers]
    finals = np.array([curve[-1][1] for curve in peers])
    assert np.array_equal(stopped, finals < np.quantile(finals, 1 - KEEP))
    for curve, first in zip(peers, stopped, strict=True):
        assert [rule.should_stop(curve[:epoch], peers) for epoch in range(6, EPOCHS)] == [first] * 4


def test_nobody_is_stopped_before_the_fraction_or_at_the_end_or_alone() -> None:
    rule, peers = EarlyStopping(curves(settles_at=0.5)), curves(settles_at=0.5)
    bad: Curve = [(share, 0.0) for share, _ in peers[0]]
    assert not any(rule.should_stop(bad[:epoch], peers) for epoch in range(1, 4))
    assert rule.should_stop(bad[:5], peers)
    assert not rule.should_stop(bad, peers)
    assert not rule.should_stop(bad[:5], [])
    assert not rule.should_stop(bad[:5], [curve[:2] for curve in peers])  # none has come so far


@pytest.mark.parametrize("epochs", [2, 3, 5, 9])
def test_estimates_follow_the_curves_wherever_they_end(epochs: int) -> None:
    rule = EarlyStopping(curves(24, settles_at=0.0))
    for curve in curves(24, settles_at=0.0, seed=3):
        assert rule.final(curve[:epochs]) == pytest.approx(curve[-1][1], abs=0.02)


def test_estimates_need_curves_and_are_never_below_zero() -> None:
    assert EarlyStopping(curves(FEWEST_CURVES - 1)).final([(0.5, 0.4)]) is None
    assert EarlyStopping(curves(12, settles_at=0.0)).final([(0.5, -9.0)]) == 0


def test_score_between_and_before_epochs() -> None:
    curve = [(0.5, 0.2), (1.0, 0.6)]
    assert [score_at(curve, at) for at in (0.1, 0.5, 0.75, 1.0)] == pytest.approx([0.2, 0.2, 0.4, 0.6])
    assert GRID[0] > 0
    assert GRID[-1] < 1


def test_estimates_of_negative_scores_are_not_lifted_to_zero() -> None:
    shares = [0.25, 0.5, 0.75, 1.0]
    below = [[(share, -level / share) for share in shares] for level in np.linspace(1, 2, 12)]
    stopping = EarlyStopping(below)
    assert stopping.final([(0.25, -4.8)]) == pytest.approx(-1.2)


def test_the_first_trials_of_a_search_teach_once_all_of_them_are_over() -> None:
    trials = [
        create_trial(value=curve[-1][1], user_attrs={"curve": curve}) for curve in curves(TAUGHT_BY + 3)
    ]
    running, failed = create_trial(state=TrialState.RUNNING), create_trial(state=TrialState.FAIL)
    assert EarlyStopping.of(trials[: TAUGHT_BY - 1]) is None
    assert EarlyStopping.of([running, *trials]) is None
    rule, fewer = EarlyStopping.of(trials), EarlyStopping.of([failed, *trials])
    assert rule is not None
    assert fewer is not None
    assert rule.fraction == EarlyStopping(curves(TAUGHT_BY + 3)[:TAUGHT_BY]).fraction
    assert fewer.fraction == EarlyStopping(curves(TAUGHT_BY + 3)[: TAUGHT_BY - 1]).fraction
