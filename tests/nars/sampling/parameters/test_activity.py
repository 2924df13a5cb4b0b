"""Rules of conditional parameters are the simplest that all trials agree with."""

from __future__ import annotations

import numpy as np
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution

from nars.sampling.parameters.activity import Rule, learn
from nars.sampling.parameters.domain import Parameters

MODEL: dict[str, BaseDistribution] = {
    "model": CategoricalDistribution(["line", "curve"]),
    "n": IntDistribution(1, 3),
    "slope": FloatDistribution(0, 1),
    "c1": FloatDistribution(0, 1),
}
TRIALS = [
    {"model": "line", "slope": 0.1},
    {"model": "curve", "n": 1},
    {"model": "curve", "n": 3, "c1": 0.9},
]


def test_a_choice_and_a_number_decide() -> None:
    learned = learn(MODEL, TRIALS)
    assert learned.optional == {"n", "slope", "c1"}
    rules = {rule.child: rule for rule in learned.rules}
    assert rules["slope"] == Rule("slope", "model", absent=frozenset([1.0]))
    assert rules["n"] == Rule("n", "model", absent=frozenset([0.0]))
    assert rules["c1"] == Rule("c1", "n", least=2.0)


def test_a_child_of_an_inactive_parameter_is_inactive() -> None:
    matrix = np.array([[0, 3, 0.5, 0.5], [1, 3, 0.5, 0.5], [1, 1, 0.5, 0.5]])
    mask = learn(MODEL, TRIALS).mask(list(MODEL), matrix)
    np.testing.assert_array_equal(mask, [[1, 0, 1, 0], [1, 1, 0, 1], [1, 1, 0, 0]])


def test_candidates_that_differ_in_what_they_lack_are_one() -> None:
    domain = Parameters(MODEL, learn(MODEL, TRIALS))
    same = domain.canonical(np.array([[0, 3, 0.25, 0.9], [0, 1, 0.25, 0.1]]))
    np.testing.assert_array_equal(same[0], same[1])
    np.testing.assert_array_equal(same[0], [0, 2, 0.25, 0.5])


def test_what_no_trial_has_is_inactive_and_what_nothing_explains_is_not() -> None:
    both: dict[str, BaseDistribution] = {"x": FloatDistribution(0, 1), "y": FloatDistribution(0, 1)}
    assert learn(both, [{"x": 0.1}, {"x": 0.2}]).rules == (Rule("y"),)
    unexplained = learn(both, [{"x": 0.1, "y": 1.0}, {"x": 0.2}, {"x": 0.3, "y": 0.5}])
    assert unexplained.rules == ()
    assert unexplained.optional == {"y"}


def test_what_the_newest_trials_lack_for_no_reason_is_inactive_until_one_has_it() -> None:
    both: dict[str, BaseDistribution] = {"x": FloatDistribution(0, 1), "y": FloatDistribution(0, 1)}
    trials = [{"x": 0.1, "y": 1.0}, {"x": 0.2}, {"x": 0.3, "y": 0.5}, *({"x": at / 9} for at in range(5))]
    assert learn(both, trials[:-1]).gone == frozenset()
    assert learn(both, trials).gone == {"y"}
    assert learn(both, [*trials, {"x": 0.4, "y": 0.4}]).gone == frozenset()


def test_values_are_exactly_on_the_grid() -> None:
    domain = Parameters(
        {"x": FloatDistribution(-10.2, 10.2, step=0.1), "n": IntDistribution(1, 100, log=True)}
    )
    drawn = domain.canonical(np.array([[10.3, 7.4], [0.1 + 0.2, 7.0]]))
    assert drawn[0, 0] == 10.2
    np.testing.assert_array_equal(drawn[:, 1], 7.0)
    np.testing.assert_array_equal(domain.canonical(drawn), drawn)
