"""The last part of the budget repeats the best candidates, and the mean of all runs decides."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import optuna
import pytest
from optuna.distributions import IntDistribution
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, TrialState

from nars.runs.budget import Budget
from nars.searching.confirm import (
    CONTENDERS,
    confirmations,
    front,
    is_confirmation,
    measured,
    next_to_confirm,
    winner,
)

MAX, MIN = StudyDirection.MAXIMIZE, StudyDirection.MINIMIZE


def trials(*runs: tuple[int, Any]) -> list[FrozenTrial]:
    """Make trials of (x, values); values are a number, several, a state, or None for a running trial."""
    made = []
    for number, (x, values) in enumerate(runs):
        state = TrialState.RUNNING if values is None else TrialState.COMPLETE
        if isinstance(values, TrialState):
            state, values = values, None
        many = [values] if isinstance(values, float) else values
        trial = optuna.create_trial(
            state=state, values=many, params={"x": x}, distributions={"x": IntDistribution(0, 999)}
        )
        trial.number = number
        made.append(trial)
    return made


def xs(found: Sequence[Any]) -> list[int]:
    return [each.params["x"] for each in found]


@pytest.mark.parametrize(("amount", "kept"), [(1, 0), (6, 0), (8, 1), (20, 3), (64, 6), (1000, 6)])
def test_trials_kept_back(amount: int, kept: int) -> None:
    budget = Budget(amount)
    done = trials(*[(x, 0.5) for x in range(amount)])
    assert confirmations(budget) == kept
    assert [is_confirmation(budget, done[:n]) for n in range(amount)] == [False] * (amount - kept) + [
        True
    ] * kept


def test_of_epochs_the_last_sixth_is_kept_once_there_is_something_to_confirm() -> None:
    budget = Budget(100, "epochs")
    done = trials(*[(x, 0.5) for x in range(10)])
    for trial in done:
        trial.user_attrs["epochs"] = 10
    assert not is_confirmation(budget, done[:8])
    assert is_confirmation(budget, done[:9])
    few = trials(*[(x, 0.5) for x in range(2)])
    for trial in few:
        trial.user_attrs["epochs"] = 49
    assert not is_confirmation(budget, few)


def test_the_best_are_repeated_in_turn_and_running_repetitions_count() -> None:
    done = [(x, x / 10) for x in range(8)]
    order = []
    for _ in range(2 * CONTENDERS):
        found = next_to_confirm(trials(*done), [MAX])
        assert found is not None
        order.append(found.params["x"])
        done.append((order[-1], None))
    assert order == [7, 6, 5, 7, 6, 5]


def test_the_best_are_the_smallest_where_that_is_the_direction() -> None:
    found = next_to_confirm(trials(*[(x, x / 10) for x in range(8)]), [MIN])
    assert found is not None
    assert found.params == {"x": 0}


def test_nothing_to_confirm() -> None:
    assert next_to_confirm(trials((1, TrialState.FAIL), (2, None)), [MAX]) is None
    assert winner(trials((1, TrialState.FAIL)), [MAX]) is None
    assert front([], [MAX, MIN]) == []


def test_the_mean_decides_not_one_lucky_run() -> None:
    found = winner(trials((1, 0.95), (2, 0.90), (3, 0.99), (1, 0.80), (2, 0.89)), [MAX])
    assert found is not None
    assert (found.params, found.numbers) == ({"x": 2}, (1, 4))
    assert found.mean == (pytest.approx(0.895),)
    assert found.spread == (pytest.approx(np.std([0.90, 0.89], ddof=1)),)


def test_a_single_run_wins_where_nothing_was_confirmed() -> None:
    found = winner(trials((1, 0.95), (2, 0.90), (3, TrialState.PRUNED)), [MAX])
    assert found is not None
    assert (found.params, found.spread) == ({"x": 1}, None)


@pytest.mark.parametrize(
    ("scores", "expected"),
    [
        ([0.5], [0]),
        ([0.9, 0.1, 0.5], [2, 0, 1]),
        ([0.7, 0.4], [1, 0]),
        ([0.1, 0.4, 0.5, 0.9], [1, 2, 0, 3]),
        ([0.8, 0.8, 0.8], [0, 1, 2]),
    ],
)
def test_the_run_in_the_middle_speaks_for_a_candidate(scores: list[float], expected: list[int]) -> None:
    (found,) = measured(trials(*((1, score) for score in scores)))
    assert found.by_closeness_to_median == expected
    assert found.median == expected[0]


def test_only_complete_runs_are_measured() -> None:
    found = measured(trials((1, 0.5), (2, None), (1, TrialState.FAIL), (1, 0.7), (3, TrialState.PRUNED)))
    assert [(each.params["x"], each.runs) for each in found] == [(1, ((0.5,), (0.7,)))]


def test_front_of_means() -> None:
    done = trials((1, [0.9, 30.0]), (2, [0.8, 10.0]), (3, [0.7, 20.0]), (4, [0.95, 50.0]), (4, [0.81, 50.0]))
    assert xs(front(done, [MAX, MIN])) == [1, 2]  # 3 costs more than 2; 4 was lucky once


def test_of_a_front_the_least_often_run_is_repeated() -> None:
    done = trials((1, [0.9, 30.0]), (2, [0.8, 10.0]), (1, [0.9, 30.0]))
    found = next_to_confirm(done, [MAX, MIN])
    assert found is not None
    assert found.params == {"x": 2}
