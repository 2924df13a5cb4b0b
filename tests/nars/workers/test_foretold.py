"""A search learns from what its task foretells of candidates before it trains any."""

from __future__ import annotations

from typing import Any

import numpy as np
import optuna
import pytest
import studies
from owned_trials import DEAD
from stub_task import StubTask

from nars.errors import TrialMemoryError
from nars.runs.reference import charged
from nars.sampling.proposer import Proposer
from nars.sampling.sampler import NarsSampler
from nars.searching.wrappers import SearchSampler
from nars.space.genotypes import from_genotypes, to_genotypes
from nars.spec import Candidate
from nars.studies import foretold_seconds
from nars.trials import Record, write
from nars.workers import foretold as module
from nars.workers.foretold import foretold
from nars.workers.liveness import Stopwatch
from nars.workers.turns import study_beside

CONFIG = studies.config(init="parent.pt", limits={"macs": 2e6})


class Oracle(StubTask):
    """Foretells that large images are good; it has no memory for every third candidate."""

    asked = 0
    failing = 3

    def foretell(self, candidate: Candidate) -> float | None:
        self.asked += 1
        if self.asked % self.failing == 0:
            raise TrialMemoryError("no memory")
        return float(candidate.architecture.resolution)


@pytest.fixture
def oracle(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setattr(module, "COUNT", 24)
    return Oracle.open("none", "cpu")


def test_random_candidates_within_the_limits_are_measured_once(oracle: Any) -> None:
    study = optuna.create_study()
    (lesson,) = foretold(study, CONFIG, CONFIG.space, oracle)
    assert (len(lesson.scores), oracle.asked) == (16, 24)
    macs = CONFIG.space.statistics(from_genotypes(CONFIG.space, lesson.genotypes))["macs"]
    assert macs.max() <= 2e6
    assert foretold(study, CONFIG, CONFIG.space, oracle) == (lesson,)
    assert oracle.asked == 24


def test_measurements_take_a_small_part_of_a_time_budget(
    oracle: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "busy_seconds", lambda trials, _: 3.0 * len(trials))
    timed = studies.config(init="parent.pt", limits={"macs": 2e6}, budget="5m")
    (lesson,) = foretold(optuna.create_study(), timed, timed.space, oracle)
    assert (len(lesson.scores), oracle.asked) == (8, 11)  # 30 s, and the fewest that serve


def proposer_of(sampler: SearchSampler) -> Proposer:
    """The maker of proposals in a new study."""
    assert isinstance(sampler.inner, NarsSampler)
    return sampler.inner.proposer(optuna.create_study(directions=["maximize"] * len(CONFIG.objectives)))


def test_half_of_the_first_candidates_are_foretold_to_be_good(oracle: Any) -> None:
    oracle.failing = 1000
    lessons = foretold(optuna.create_study(), CONFIG, CONFIG.space, oracle)
    sides = []
    for given in ((), lessons):
        sampler = SearchSampler.of(CONFIG, CONFIG.space, Record(), foretold=given)
        first = proposer_of(sampler)
        matrix = first.first_candidates[: first.rounds.first_batch]
        decoded = [CONFIG.space.decode(one) for one in to_genotypes(CONFIG.space, matrix)]
        sides.append(np.mean([each.architecture.resolution for each in decoded]))
    assert sides[1] > 1.1 * sides[0]


@pytest.mark.parametrize(
    "changes", [{"init": "none"}, {"sampler": "random"}, {"predictor": "ensemble"}], ids=str
)
def test_searches_that_cannot_learn_from_it_measure_nothing(changes: dict[str, str], oracle: Any) -> None:
    assert foretold(optuna.create_study(), CONFIG.replace(**changes), CONFIG.space, oracle) == ()
    assert oracle.asked == 0


def test_too_few_are_no_lesson(oracle: Any) -> None:
    oracle.failing = 1
    assert foretold(optuna.create_study(), CONFIG, CONFIG.space, oracle) == ()
    assert foretold(optuna.create_study(), CONFIG, CONFIG.space, StubTask.open("none", "cpu")) == ()


def test_workers_share_the_measurements(oracle: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    oracle.failing = 1000
    (alone,) = foretold(optuna.create_study(), CONFIG, CONFIG.space, oracle)
    study = optuna.create_study()
    second = Oracle.open("none", "cpu")
    measured: list[Oracle] = []

    def foretell(self: Oracle, candidate: Candidate) -> float | None:
        if not measured:  # while the first worker measures its first candidate, the second does all others
            measured.append(self)
            with pytest.raises(InterruptedError):
                foretold(study, CONFIG, CONFIG.space, second)
        measured.append(self)
        return float(candidate.architecture.resolution)

    def wait(seconds: float) -> None:
        raise InterruptedError

    monkeypatch.setattr(Oracle, "foretell", foretell)
    monkeypatch.setattr(module.time, "sleep", wait)
    (together,) = foretold(study, CONFIG, CONFIG.space, oracle)
    assert together == alone
    assert measured[1:] == [second] * 23 + [oracle]
    assert module.measured_of(study) is None


def test_what_a_dead_worker_left_is_measured_by_another(oracle: Any) -> None:
    oracle.failing = 1000
    study = optuna.create_study()
    beside = study_beside(study, f"{study.study_name}.foretold")
    for _ in range(3):
        write(beside, beside.ask(), Record(worker=DEAD))
    assert module.measured_of(study) == (0, 24)
    (lesson,) = foretold(study, CONFIG, CONFIG.space, oracle)
    assert (len(lesson.scores), oracle.asked) == (24, 24)


def test_the_time_since_the_last_heartbeat_counts(oracle: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """A candidate takes 50 seconds, with a heartbeat after 30."""
    seconds = [0.0]
    monkeypatch.setattr(module, "Stopwatch", lambda: Stopwatch(lambda: seconds[0]))

    def foretell(self: Oracle, candidate: Candidate) -> float:
        trial = beside.trials[-1]
        write(beside, trial, Record(heartbeat=0.0, worked=30.0))
        seconds[0] += 50.0
        return 1.0

    monkeypatch.setattr(Oracle, "foretell", foretell)
    study = optuna.create_study()
    beside = study_beside(study, f"{study.study_name}.foretold")
    foretold(study, CONFIG, CONFIG.space, oracle)
    assert {Record.of(trial).worked for trial in beside.trials} == {50.0}


def test_the_time_is_charged_to_the_budget(oracle: Any) -> None:
    study = optuna.create_study()
    foretold(study, CONFIG, CONFIG.space, oracle)
    seconds = foretold_seconds(study)
    assert seconds > 0
    assert charged(CONFIG.total, study).before == seconds
