"""The contract of every sampler: complete genotypes within the limits, from the seed and study alone."""

from __future__ import annotations

from datetime import datetime, timedelta
from types import SimpleNamespace
from typing import Any

import numpy as np
import optuna
import pytest
from optuna.study import Study
from optuna.trial import FrozenTrial, TrialState
from stub_task import SPACE, score

from nars.errors import UsageError
from nars.runs.budget import Budget
from nars.sampling.sampler import NarsSampler
from nars.searching import wrappers
from nars.searching.samplers import SAMPLERS, check_sampler, make_sampler
from nars.searching.wrappers import SLOW, TRIES, SearchSampler
from nars.space import genotypes
from nars.space.feasible import feasible, smallest
from nars.space.genotypes import Genotype
from nars.space.values import extremes
from nars.trials import INTERRUPTED, Record

LEAST = float(SPACE.statistics(smallest(SPACE, "macs")[None])["macs"][0])
LIMITS: dict[str, dict[str, float]] = {
    "no limits": {},
    "a fifth": {"macs": 5e4},
    "next to nothing": {"macs": 1.1 * LEAST, "params": 900.0},
}
pytestmark = pytest.mark.usefixtures("stub")


def new(name: str, objectives: tuple[str, ...] = ("accuracy",)) -> Study:
    directions = ["maximize", *["minimize"] * (len(objectives) - 1)]
    return optuna.create_study(directions=directions, sampler=optuna.samplers.RandomSampler(seed=0))


def run(
    study: Study,
    name: str,
    n: int,
    limits: dict[str, float],
    objectives: tuple[str, ...] = ("accuracy",),
    budget: int = 1000,
    seed: int = 0,
    failing: bool = True,
) -> list[Genotype]:
    """Ask and tell `n` trials as a new worker would; if `failing`, every third trial fails."""
    given = make_sampler(name, SPACE, limits, objectives, seed)
    tries = 1 if name in SLOW else TRIES
    study.sampler = SearchSampler(given, SPACE, Budget(budget), limits, seed, Record(worker="here"), tries)
    for _ in range(n):
        trial = study.ask(dict(SPACE.distributions))
        macs = SPACE.statistics(genotypes.from_genotypes(SPACE, [trial.params]))["macs"][0]
        trial.set_constraint("macs", -1.0)
        values = [score(SPACE.decode(trial.params), trial.number), macs][: len(objectives)]
        if failing and trial.number % 3 == 2:
            study.tell(trial, state=TrialState.FAIL)
        else:
            study.tell(trial, values)
    return [trial.params for trial in study.trials]


@pytest.mark.parametrize("limits", LIMITS.values(), ids=LIMITS)
@pytest.mark.parametrize("name", SAMPLERS)
def test_every_proposal_is_whole_and_within_the_limits(name: str, limits: dict[str, float]) -> None:
    found = run(new(name), name, 8, limits)
    assert all(each.keys() == SPACE.distributions.keys() for each in found)
    assert feasible(SPACE, genotypes.from_genotypes(SPACE, found), limits).all()
    assert len({str(each) for each in found}) > 4


@pytest.mark.parametrize("name", SAMPLERS)
def test_a_restart_changes_no_proposal(name: str) -> None:
    limits = LIMITS["a fifth"]
    uninterrupted, restarted = new(name), new(name)
    run(uninterrupted, name, 13, limits)  # TPE and the Gaussian process begin with 10 at random
    for _ in range(13):
        run(restarted, name, 1, limits)
    assert [each.params for each in restarted.trials] == [each.params for each in uninterrupted.trials]


@pytest.mark.parametrize("name", [name for name in SAMPLERS if name != "cmaes"])
def test_two_objectives(name: str) -> None:
    limits = LIMITS["a fifth"]
    found = run(new(name, ("accuracy", "macs")), name, 7, limits, ("accuracy", "macs"))
    assert feasible(SPACE, genotypes.from_genotypes(SPACE, found), limits).all()


@pytest.mark.parametrize("name", SAMPLERS)
def test_the_seed_matters(name: str) -> None:
    one, two = (run(new(name), name, 5, {}, seed=seed) for seed in (0, 1))
    assert one != two


@pytest.mark.parametrize("name", SAMPLERS)
def test_workers_that_ask_together_are_told_different_candidates(name: str) -> None:
    study = new(name)
    limits: dict[str, float] = {}
    asked = []
    for _ in range(3):  # each like a new process, while all earlier trials still train
        sampler = make_sampler(name, SPACE, limits, ("accuracy",), 0)
        study.sampler = SearchSampler(sampler, SPACE, Budget(100), limits, 0, Record(worker="here"))
        asked.append(study.ask(dict(SPACE.distributions)).params)
    assert len({str(params) for params in asked}) == 3


def test_the_last_part_of_the_budget_repeats_the_best() -> None:
    study = new("random")
    found = run(study, "random", 20, {}, budget=20, failing=False)
    best = sorted(study.trials[:17], key=lambda trial: -trial.values[0])
    assert found[17] == best[0].params
    assert {str(each) for each in found[18:]} <= {str(trial.params) for trial in best[:4]}
    assert len({str(each) for each in found}) == 17


def test_an_enqueued_genotype_is_taken_as_it_is_and_costs_the_sampler_nothing() -> None:
    wanted = genotypes.to_genotypes(SPACE, genotypes.sample(SPACE, 1, np.random.default_rng(9)))[0]
    study = new("qmc")
    study.enqueue_trial(wanted)
    with_it = run(study, "qmc", 5, {})
    assert with_it[0] == wanted


def test_a_proposal_outside_goes_to_the_nearest_inside() -> None:
    """A sampler that always proposes the largest network, with any learning rate, keeps the learning rate."""

    class Stubborn(optuna.samplers.RandomSampler):
        def sample_independent(self, study: Any, trial: Any, name: str, distribution: Any) -> Any:
            drawn = super().sample_independent(study, trial, name, distribution)
            return drawn if name.startswith("recipe.") else list(extremes(distribution))[-1]

    limits = LIMITS["a fifth"]
    study = new("random")
    study.sampler = SearchSampler(Stubborn(seed=0), SPACE, Budget(9), limits, 0, Record(), tries=4)
    params = study.ask(dict(SPACE.distributions)).params
    matrix = genotypes.from_genotypes(SPACE, [params])
    assert feasible(SPACE, matrix, limits)[0]
    drawn = genotypes.sample(SPACE, 512, np.random.default_rng(0))
    drawn = drawn[feasible(SPACE, drawn, limits)]
    largest = SPACE.dimensions.from_unit(np.ones((1, len(SPACE.distributions))))
    architecture = [not name.startswith("recipe.") for name in SPACE.distributions]

    def distance(rows: Any) -> Any:
        gap = (SPACE.dimensions.to_unit(rows) - SPACE.dimensions.to_unit(largest))[:, architecture]
        return (gap**2).sum(axis=1)

    assert distance(matrix)[0] < np.quantile(distance(drawn), 0.1)


def test_attributes_are_there_from_the_start() -> None:
    study, seen = new("random"), []

    class Watch(optuna.samplers.RandomSampler):
        def before_trial(self, study: Any, trial: Any) -> None:
            seen.append(Record.of(study.trials[trial.number]))

    study.sampler = SearchSampler(Watch(), SPACE, Budget(9), {}, 0, Record(worker="me", epochs=5))
    study.ask(dict(SPACE.distributions))
    assert seen == [Record(worker="me", epochs=5)]


def test_names() -> None:
    assert isinstance(make_sampler("nars", SPACE, {}, ("accuracy",), 0), NarsSampler)
    with pytest.raises(UsageError, match="no sampler 'rndom': did you mean 'random'"):
        make_sampler("rndom", SPACE, {}, ("accuracy",), 0)
    with pytest.raises(UsageError, match="sampler cmaes has one objective, got accuracy,macs"):
        check_sampler("cmaes", ("accuracy", "macs"))


def test_a_worker_waits_for_the_proposal_before_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    study = new("random")
    sampler = make_sampler("random", SPACE, {}, ("accuracy",), 0)
    study.sampler = SearchSampler(sampler, SPACE, Budget(9), {}, 0, Record(worker="here"))
    first = optuna.load_study(study_name=study.study_name, storage=study._storage).ask()

    def wait(seconds: float) -> None:
        assert first.params == {}
        for name, dist in SPACE.distributions.items():
            first._suggest(name, dist)

    monkeypatch.setattr(wrappers.time, "sleep", wait)
    study.ask(dict(SPACE.distributions))
    assert first.params.keys() == SPACE.distributions.keys()


def test_nobody_waits_for_the_dead(monkeypatch: pytest.MonkeyPatch) -> None:
    study = new("random")
    study.ask()
    monkeypatch.setattr(wrappers, "PATIENCE_SECONDS", 0)
    monkeypatch.setattr(wrappers.time, "sleep", lambda seconds: pytest.fail("waited"))
    run(study, "random", 2, {})


@pytest.mark.parametrize("hours", [-2, 0, 2])
def test_the_wait_for_a_proposal_depends_on_no_clock(hours: float, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another machine is in another time zone; its worker died while it proposed, and is waited for once."""
    study, naps = new("random"), list[float]()
    study.add_trial(
        FrozenTrial(
            number=0,
            trial_id=0,
            state=TrialState.RUNNING,
            value=None,
            datetime_start=datetime.now() + timedelta(hours=hours),
            datetime_complete=None,
            params={},
            distributions={},
            user_attrs={},
            system_attrs={},
            intermediate_values={},
        )
    )
    clock = SimpleNamespace(monotonic=lambda: sum(naps), sleep=lambda seconds: naps.append(5.0))
    monkeypatch.setattr(wrappers, "time", clock)
    sampler = make_sampler("random", SPACE, {}, ("accuracy",), 0)
    study.sampler = SearchSampler(sampler, SPACE, Budget(9), {}, 0, Record(worker="here"))
    for _ in range(2):
        assert study.ask(dict(SPACE.distributions)).params
    assert sum(naps) == wrappers.PATIENCE_SECONDS


@pytest.mark.parametrize("name", ["random", "tpe", "nars"])
def test_no_candidate_is_proposed_twice_if_a_worker_died_while_it_proposed(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(wrappers, "PATIENCE_SECONDS", 0.0)
    study = new(name)
    run(study, name, 3, {})
    dead = study.ask()  # has no genotype yet, but a place
    run(study, name, 2, {})
    dead.set_user_attr("void", INTERRUPTED)
    study.tell(dead, state=TrialState.FAIL)
    found = [params for params in run(study, name, 2, {}) if params]
    assert len(found) == 7
    assert len({str(params) for params in found}) == 7
