"""One worker learns from all before its round, many from the results that came first."""

from __future__ import annotations

from datetime import datetime, timedelta

import optuna
import pytest
from optuna.distributions import FloatDistribution
from optuna.trial import FrozenTrial, TrialState

from nars.sampling.evidence import evidence
from nars.sampling.rounds import Rounds

X = {"x": FloatDistribution(0, 1)}
REQUIRED = frozenset(X)


def trial(
    number: int, state: TrialState = TrialState.COMPLETE, *, ended: int = 0, asking: bool = False
) -> FrozenTrial:
    made = optuna.create_trial(
        state=state,
        value=1.0 if state == TrialState.COMPLETE else None,
        params={} if asking else {"x": 0.5},
        distributions={} if asking else X,
    )
    made.number = number
    made.datetime_complete = datetime(2026, 1, 1) + timedelta(seconds=ended) if state.is_finished() else None
    return made


@pytest.mark.parametrize(("place", "known", "turn"), [(5, 0, 5), (6, 6, 0), (49, 48, 1)])
def test_a_proposal_alone_is_one_of_a_round(place: int, known: int, turn: int) -> None:
    before = [trial(number) for number in range(place)]
    seen = evidence(before, Rounds(), REQUIRED)
    assert (len(seen.known), seen.turn, seen.place, seen.alone) == (known, turn, place, True)
    assert not seen.others


def test_beside_others_the_first_results_are_known_and_the_rest_is_taken_for_running() -> None:
    before = [trial(number, ended=100 - number) for number in range(50)]  # the last one came first
    before += [trial(50, TrialState.RUNNING), trial(51, TrialState.RUNNING, asking=True)]
    seen = evidence(before, Rounds(), REQUIRED)
    assert [known.number for known in seen.known] == list(range(49, 1, -1))  # 48 of 50: rounds of three
    assert [other.number for other in seen.others] == [50, 51, 1, 0]
    assert (seen.turn, seen.alone) == (1, False)


def test_what_failed_since_is_not_taken_for_running() -> None:
    before = [trial(0, TrialState.FAIL), trial(1), trial(2, TrialState.RUNNING)]
    seen = evidence(before, Rounds(), REQUIRED)
    assert not seen.known
    assert [other.number for other in seen.others] == [2, 1]
