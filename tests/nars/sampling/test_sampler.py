"""`NarsSampler` in anybody's study: first batch and rounds, no repetition, no state of its own."""

from __future__ import annotations

from typing import Any

import numpy as np
import optuna
import pytest
from optuna.study import Study
from optuna.trial import Trial, TrialState
from stub_task import FEW, SPACE, StubPredictor, expected_score, score

from nars.errors import InfeasibleError, UsageError
from nars.predictors import Predictor, PredictorName
from nars.predictors.ensemble import AccuracyPredictor
from nars.predictors.gaussian import GaussianPredictor
from nars.sampling.rounds import Rounds
from nars.sampling.sampler import NarsSampler
from nars.sampling.strategy import Strategy
from nars.space import genotypes
from nars.space.feasible import feasible
from nars.space.genotypes import suggest
from nars.trials import INTERRUPTED, Record, labels

WHOLE = dict(SPACE.distributions)


def sampler(**options: Any) -> NarsSampler:
    return NarsSampler(SPACE, **({"predictor": StubPredictor(SPACE), "seed": 0} | options))


def study_of(made: NarsSampler, directions: tuple[str, ...] = ("maximize",)) -> Study:
    return optuna.create_study(directions=directions, sampler=made)


def objective(trial: Trial) -> float:
    return score(SPACE.decode(suggest(SPACE, trial)), seed=0)


def rows(study: Study) -> genotypes.Matrix:
    return SPACE.canonical(genotypes.from_genotypes(SPACE, [trial.params for trial in study.trials]))


def macs(params: Any) -> float:
    return float(SPACE.statistics(genotypes.from_genotypes(SPACE, [params]))["macs"][0])


@pytest.mark.parametrize(
    "predictor", [StubPredictor(SPACE), GaussianPredictor(SPACE)], ids=["stub", "gaussian"]
)
def test_a_plain_study_finds_better_than_random(predictor: Predictor) -> None:
    study = study_of(sampler(predictor=predictor))
    study.optimize(objective, n_trials=24)
    assert len(np.unique(rows(study), axis=0)) == 24
    drawn = genotypes.sample(SPACE, 4000, np.random.default_rng(0))
    known = expected_score(SPACE.statistics(drawn)["macs"], genotypes.numbers(SPACE, drawn, "recipe.lr"))
    # One of 24 random candidates is among the best 0.1 % in one of forty runs.
    assert study.best_value > np.quantile(known, 0.999)
    guided = [trial.value for trial in study.trials[12:]]
    assert np.median(guided) > np.quantile(known, 0.9)


@pytest.mark.parametrize(
    "predictor",
    [
        AccuracyPredictor(SPACE, pretrained=False, members=2, steps=20),
        GaussianPredictor(SPACE),
        StubPredictor(SPACE),
    ],
    ids=lambda predictor: type(predictor).__name__,
)
def test_any_predictor_of_the_contract_guides(predictor: Predictor) -> None:
    study = study_of(sampler(predictor=predictor))
    study.optimize(objective, n_trials=9)
    assert len(np.unique(rows(study), axis=0)) == 9
    record = Record.of(study.trials[-1])
    assert record.predicted is not None
    assert record.predicted_sd is not None
    assert 0 <= record.predicted <= 1
    assert record.predicted_sd > 0


@pytest.mark.parametrize(
    ("name", "made_by"),
    [
        ("gaussian", "nars.predictors.gaussian.GaussianPredictor"),
        ("ensemble", "nars.predictors.ensemble.AccuracyPredictor"),
    ],
)
def test_a_predictor_by_name_is_made_once_one_is_needed(
    name: PredictorName, made_by: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[tuple[Any, int]] = []

    def create(domain: Any, seed: int, knowledge: Any = None, scaled: bool = True) -> StubPredictor:
        made.append((domain, seed))
        return StubPredictor(domain, seed)

    monkeypatch.setattr(made_by, create)
    study = study_of(NarsSampler(SPACE, seed=5, predictor=name))
    study.optimize(objective, n_trials=4)
    assert made == []  # the first batch, of at least four, needs none
    study.optimize(objective, n_trials=4)
    assert made == [(SPACE, 5)]


def test_a_prediction_is_noted_when_it_is_made_and_from_the_rounds_before() -> None:
    study = study_of(sampler(strategy=Strategy(first_batch=48)))
    study.optimize(objective, n_trials=56)
    records = [Record.of(trial) for trial in study.trials]
    assert [record.predicted is None for record in records] == [True] * 48 + [False] * 8
    for number, start in ((48, 48), (50, 48), (51, 51), (55, 54)):  # rounds of three trials
        predictions = sampler().proposer(study).predictions(study, study.trials[:start])
        expected = predictions.score(rows(study)[[number]])
        assert (records[number].predicted, records[number].predicted_sd) == pytest.approx(expected)


def test_the_prediction_of_an_enqueued_trial_is_that_of_its_own_genotype() -> None:
    study = study_of(sampler())
    study.optimize(objective, n_trials=8)
    study.enqueue_trial({"recipe.lr": 0.02})  # the sampler proposes the rest
    study.optimize(objective, n_trials=1)
    assert study.trials[8].params["recipe.lr"] == 0.02
    expected = sampler().proposer(study).predictions(study, study.trials[:8]).score(rows(study)[[8]])
    assert expected is not None
    assert Record.of(study.trials[8]).predicted == pytest.approx(expected[0])


@pytest.mark.slow
def test_the_pretrained_predictor_from_end_to_end(tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NARS_CACHE", str(tmp_path))
    study = study_of(NarsSampler(SPACE, limits={"macs": 1e5}, predictor="ensemble", seed=0))
    study.optimize(objective, n_trials=20)
    assert feasible(SPACE, rows(study), {"macs": 1e5}).all()
    assert len(np.unique(rows(study), axis=0)) == 20
    assert [file.suffix for file in tmp_path.iterdir()] == [".pt"]  # the pretrained encoder
    assert Record.of(study.trials[-1]).predicted is not None


def test_an_even_first_batch_then_rounds_that_grow() -> None:
    made = sampler()
    study = study_of(made)
    study.optimize(objective, n_trials=18)
    np.testing.assert_array_equal(rows(study)[:6], made.proposer(study).first_candidates[:6])
    starts = [Rounds().start(place) for place in range(70)]
    assert starts[:9] == [0] * 6 + [6, 7, 8]
    assert starts[31:38] == [31, 32, 32, 34, 34, 36, 36]
    assert starts[63:70] == [63, 63, 63, 66, 66, 66, 66]
    late = sorted({Rounds().start(place) for place in range(3000, 3200)})
    assert set(np.diff(late)) == {32}


def test_a_fit_serves_a_round_and_sees_only_the_rounds_before() -> None:
    fits: list[int] = []

    class Counting(StubPredictor):
        def fit(self, X: Any, y: Any) -> Any:  # noqa: N803 - scikit-learn's name
            fits.append(len(y))
            return super().fit(X, y)

    study = study_of(sampler(predictor=Counting(SPACE), strategy=Strategy(first_batch=48)))
    study.optimize(objective, n_trials=56)
    assert fits == [48, 51, 54]


@pytest.mark.parametrize("stop", [3, 6, 8, 11])
def test_a_new_sampler_on_the_same_study_goes_on_alike(stop: int) -> None:
    uninterrupted = study_of(sampler())
    uninterrupted.optimize(objective, n_trials=13)
    resumed = study_of(sampler())
    resumed.optimize(objective, n_trials=stop)
    resumed.sampler = sampler()
    resumed.optimize(objective, n_trials=13 - stop)
    np.testing.assert_array_equal(rows(resumed), rows(uninterrupted))


def test_one_sampler_in_two_studies_keeps_them_apart() -> None:
    """Both are the first of their storage, with as many trials."""
    used, new = sampler(predictor=GaussianPredictor(SPACE)), sampler(predictor=GaussianPredictor(SPACE))
    first = study_of(used)
    first.optimize(objective, n_trials=8)
    worst_first = [
        optuna.trial.create_trial(params=trial.params, distributions=trial.distributions, value=-trial.value)
        for trial in first.trials[:7]
    ]
    proposed = []
    for made in (used, new):
        second = study_of(made)
        second.add_trials(worst_first)
        proposed.append(second.ask(WHOLE).params)
    assert proposed[0] == proposed[1] != first.trials[7].params


def test_seeds_differ() -> None:
    one, two = (study_of(sampler(seed=seed)) for seed in (0, 1))
    for study in (one, two):
        study.optimize(objective, n_trials=8)
    assert (rows(one) != rows(two)).any(axis=1).all()


@pytest.mark.parametrize("limit", [9e4, 3e4, 1.3e4])
def test_limits_hold_in_every_phase(limit: float) -> None:
    study = study_of(sampler(limits={"macs": limit}))
    study.optimize(objective, n_trials=15)
    assert max(macs(trial.params) for trial in study.trials) <= limit
    assert len(np.unique(rows(study), axis=0)) == 15


def test_nothing_feasible_says_the_smallest_possible() -> None:
    study = study_of(sampler(limits={"macs": 10.0}))
    with pytest.raises(InfeasibleError, match="the smallest possible is macs 1"):
        study.ask(WHOLE)


def test_failed_and_infinite_trials_are_learned_from_as_little_as_they_tell() -> None:
    def failing(trial: Trial) -> float:
        value = objective(trial)
        if trial.number % 3 == 0:
            raise ValueError("no luck")
        return value if trial.number % 3 == 1 else float("-inf")

    study = study_of(sampler())
    study.optimize(failing, n_trials=20, catch=(ValueError,))
    assert len(np.unique(rows(study), axis=0)) == 20


def test_all_failing_is_no_reason_to_stop_proposing() -> None:
    study = study_of(sampler())
    study.optimize(lambda trial: objective(trial) * float("nan"), n_trials=12)
    assert {trial.state for trial in study.trials} == {TrialState.FAIL}
    assert len(np.unique(rows(study), axis=0)) == 12


def test_running_trials_count_and_are_not_proposed_again() -> None:
    study = study_of(sampler())
    study.optimize(objective, n_trials=6)
    asked = [study.ask(WHOLE) for _ in range(8)]
    assert len({str(trial.params) for trial in asked}) == 8
    assert len(np.unique(rows(study), axis=0)) == 14


def test_workers_that_start_at_the_same_moment_take_different_places() -> None:
    """Each sees that others have asked, but not yet what they were told."""
    told: list[Any] = []
    for worker in range(4):
        study = study_of(sampler())
        for _ in range(worker):
            study.ask()  # running, its genotype still unknown
        told.append(study.ask(WHOLE).params)
    assert len({str(params) for params in told}) == 4


def test_void_trials_change_no_place_but_are_not_proposed_again() -> None:
    plain, voided = study_of(sampler()), study_of(sampler())
    for study in (plain, voided):
        study.optimize(objective, n_trials=3)
    lost = voided.ask(WHOLE)
    lost.set_user_attr("void", INTERRUPTED)
    voided.tell(lost, state=TrialState.FAIL)
    voided.enqueue_trial(lost.params)
    for study in (plain, voided):
        study.optimize(objective, n_trials=6)
    assert [trial.params for trial in plain.trials] == [
        trial.params for trial in voided.trials if trial.number != 3
    ]


def test_a_space_is_exhausted_before_anything_is_repeated() -> None:
    def few(trial: Trial) -> float:
        return score(FEW.decode(suggest(FEW, trial)), trial.number)

    made = NarsSampler(FEW, predictor=StubPredictor(FEW), seed=0, strategy=Strategy(first_batch=2))
    study = study_of(made)
    study.optimize(few, n_trials=4)
    assert len({str(trial.params) for trial in study.trials}) == 4
    study.optimize(few, n_trials=2)
    assert len(study.trials) == 6


def test_trials_of_another_space_are_left_out() -> None:
    study = study_of(sampler())
    for value in range(20):
        study.add_trial(optuna.create_trial(value=value))
    first = study.ask(WHOLE)
    np.testing.assert_array_equal(rows_of(first), sampler().proposer(study).first_candidates[:1])


def rows_of(trial: Trial) -> genotypes.Matrix:
    return SPACE.canonical(genotypes.from_genotypes(SPACE, [trial.params]))


def test_what_the_space_does_not_know_is_drawn_at_random() -> None:
    study = study_of(sampler())
    trial = study.ask(WHOLE)
    assert 0 <= trial.suggest_float("mine", 0, 1) <= 1


def test_a_loss_is_minimised() -> None:
    study = study_of(sampler(objectives=("loss",)), ("minimize",))
    study.optimize(lambda trial: 2.3 - objective(trial), n_trials=24)
    losses = [trial.value for trial in study.trials]
    assert np.median(losses[12:]) < np.median(losses[:6])


def test_a_front_of_a_predicted_and_a_known_objective() -> None:
    def both(trial: Trial) -> tuple[float, float]:
        return objective(trial), macs(trial.params)

    made = sampler(objectives=("accuracy", "macs"))
    study = study_of(made, ("maximize", "minimize"))
    study.optimize(both, n_trials=30)
    predictions = made.proposer(study).predictions(study, study.trials)
    assert set(predictions.predictors) == set(predictions.scales) == {"accuracy"}  # MACs are known
    spread = [trial.values[1] for trial in study.best_trials]
    assert len(study.best_trials) >= 6
    assert max(spread) > 4 * min(spread)


def test_objectives_of_another_number_than_the_study() -> None:
    study = study_of(sampler(objectives=("accuracy", "macs")))
    with pytest.raises(UsageError, match="the sampler's objectives are accuracy, macs; the study has 1"):
        study.ask(WHOLE)


ONE, TWO = ("maximize",), ("maximize", "minimize")


@pytest.mark.parametrize(
    ("directions", "state", "values", "known", "expected"),
    [
        (ONE, TrialState.COMPLETE, [0.5], {}, [0.5]),
        (TWO, TrialState.COMPLETE, [0.5, 9.0], {}, [0.5, 9.0]),
        (ONE, TrialState.COMPLETE, [float("inf")], {}, None),
        (ONE, TrialState.PRUNED, [0.3], {}, [0.3]),
        (ONE, TrialState.PRUNED, [0.3], {"estimate": [0.6]}, [0.6]),
        (TWO, TrialState.PRUNED, None, {"estimate": [0.6, 9.0]}, [0.6, 9.0]),
        (TWO, TrialState.PRUNED, None, {}, None),
        (ONE, TrialState.PRUNED, None, {}, None),
        (ONE, TrialState.FAIL, None, {}, None),
        (ONE, TrialState.RUNNING, None, {}, None),
    ],
)
def test_labels(directions: Any, state: TrialState, values: Any, known: Any, expected: Any) -> None:
    trial = optuna.create_trial(state=state, values=values, user_attrs=known)
    assert labels(study_of(sampler(), directions), trial) == expected


def test_given_candidates_come_first_and_once() -> None:
    given = genotypes.to_genotypes(SPACE, genotypes.sample(SPACE, 2, np.random.default_rng(5)))
    study = study_of(sampler(strategy=Strategy(first=given)))
    study.optimize(objective, n_trials=8)
    proposed = [trial.params for trial in study.trials]
    assert proposed[:2] == given
    assert all(proposed.count(genotype) == 1 for genotype in given)
