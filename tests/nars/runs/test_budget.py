"""The budget, one amount for all workers: what it grants, what spends it, what costs nothing."""

from __future__ import annotations

import itertools
from datetime import datetime, timedelta
from typing import Any

import optuna
import pytest
from optuna.trial import FrozenTrial, TrialState

from nars.errors import UsageError
from nars.runs.budget import MOST_BETWEEN_BEATS, Budget
from nars.trials import INTERRUPTED, REFUSED, counts, place

START = datetime(2026, 1, 1)
RUNNING, WAITING, FAIL, COMPLETE = (
    TrialState.RUNNING,
    TrialState.WAITING,
    TrialState.FAIL,
    TrialState.COMPLETE,
)


def trial(
    number: int, state: TrialState = COMPLETE, start: float = 0, stop: float | None = None, **known: Any
) -> FrozenTrial:
    made = optuna.create_trial(state=state, value=1.0 if state == COMPLETE else None, user_attrs=known)
    made.number = number
    made.datetime_start = None if state == WAITING else START + timedelta(seconds=start)
    made.datetime_complete = None if stop is None else START + timedelta(seconds=stop)
    return made


@pytest.mark.parametrize(
    ("text", "amount", "unit"),
    [
        ("64", 64, "trials"),
        (" 500ep ", 500, "epochs"),
        ("90s", 90, "seconds"),
        ("30m", 1800, "seconds"),
        ("30min", 1800, "seconds"),
        ("1.5h", 5400, "seconds"),
        ("1d", 86400, "seconds"),
    ],
)
def test_parse(text: str, amount: float, unit: str) -> None:
    assert (Budget.parse(text).amount, Budget.parse(text).unit) == (amount, unit)


@pytest.mark.parametrize("text", ["", "0", "-3", "0h", "64 trials", "1e3", "2.5", "1.5ep", "h", "3x", "nan"])
def test_what_is_no_budget_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match=r"budget '.*': "):
        Budget.parse(text)


def test_waiting_and_void_trials_cost_nothing() -> None:
    free = [trial(0, WAITING), trial(1, FAIL, void=INTERRUPTED), trial(2, FAIL, void=REFUSED, epochs=9)]
    paid = [trial(3, RUNNING, epochs=4), trial(4, FAIL, epochs=1), trial(5, stop=7, epochs=5)]
    assert [counts(each) for each in free + paid] == [False] * 3 + [True] * 3
    assert Budget(9).spent(free + paid) == 3
    assert Budget(9, "epochs").spent(free + paid) == 10
    assert Budget(9, "seconds").spent(free, START + timedelta(seconds=100)) == 0


@pytest.mark.parametrize("amount", range(1, 7))
def test_workers_that_ask_at_the_same_moment_get_what_is_left_and_no_more(amount: int) -> None:
    """As many trials train as the budget has, however many workers ask and in whatever order they look."""
    for done, asking in itertools.product(range(4), range(1, 6)):
        trials = [trial(number) for number in range(done)]
        trials += [trial(done + nth, RUNNING) for nth in range(asking)]
        granted = [Budget(amount).grants(trials, each.number) for each in trials[done:]]
        assert sum(granted) == min(asking, max(amount - done, 0))
        assert granted == sorted(granted, reverse=True)


def test_epochs_go_over_by_less_than_one_trial() -> None:
    budget, trials = Budget(20, "epochs"), list[FrozenTrial]()
    for number in itertools.count():
        if not budget.grants(trials, number):
            break
        trials.append(trial(number, epochs=6))
    assert budget.spent(trials) == 24  # the trial granted at 18 of 20 exceeds it


def test_time_counts_once_where_trials_overlap_and_not_at_all_between_runs() -> None:
    budget = Budget(100, "seconds")
    overlapping = [trial(0, start=0, stop=10), trial(1, start=5, stop=20), trial(2, start=6, stop=8)]
    after_a_night = [*overlapping, trial(3, start=50_000, stop=50_005), trial(4, RUNNING, start=50_002)]
    assert budget.spent(overlapping) == 20
    assert budget.spent(after_a_night, START + timedelta(seconds=50_012)) == 32


def test_time_is_that_in_which_workers_worked_whatever_the_clock_says() -> None:
    budget = Budget(100, "seconds")
    slept = trial(0, start=0, stop=30_000, worked=20.0)
    assert budget.spent([slept]) == 20
    heard = (START + timedelta(seconds=1000)).timestamp()
    running = trial(1, RUNNING, start=40, worked=30.0, heartbeat=heard)
    assert budget.spent([slept, running], START + timedelta(seconds=1010)) == 60
    set_forward = START + timedelta(seconds=100_000)
    assert budget.spent([slept, running], set_forward) == 20 + 30 + MOST_BETWEEN_BEATS
    unheard = trial(1, RUNNING, start=40)  # its worker has died before its first report
    assert budget.spent([unheard], set_forward) == MOST_BETWEEN_BEATS


def test_a_clock_that_is_set_back_makes_no_trials_of_a_worker_overlap() -> None:
    first = trial(0, start=600, stop=620, worked=20.0, worker="a")
    second = trial(1, start=10, stop=25, worked=15.0, worker="a")
    assert Budget(100, "seconds").spent([first, second]) == 35


def test_place_counts_an_interrupted_trial_and_its_repetition_once() -> None:
    uninterrupted = [trial(0), trial(1), trial(2)]
    resumed = [trial(0), trial(1, FAIL, void=INTERRUPTED), trial(2), trial(3), trial(4, WAITING)]
    assert [place(uninterrupted, number) for number in range(3)] == [0, 1, 2]
    assert [place(resumed, number) for number in (0, 2, 3)] == [0, 1, 2]


def test_place_moves_on_after_a_refusal() -> None:
    """Otherwise a sampler seeded by the place would propose the refused candidate again and again."""
    assert place([trial(0), trial(1, FAIL, void=REFUSED)], 2) == 2
