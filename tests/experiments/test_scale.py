"""The simulation of many workers: bounds that hold whatever the costs are; studies filled at once."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import optuna
import pytest

from experiments.scale.filling import fill
from experiments.scale.simulate import Costs, simulate
from search_spaces.spaces import space

SIZES = np.array([10.0, 1000.0])


def costs(propose: float, write: float, *, serial: bool, again: float = 0.0, news: float = 0.0) -> Costs:
    columns = [np.full(2, value) for value in (propose, again, write, news)]
    return Costs(SIZES, *columns, serial=serial)


def test_one_worker_trains_all_the_time_that_it_does_not_propose() -> None:
    found = simulate(costs(1.0, 0.5, serial=True), np.full(100, 8.5), 1, 100, server=False)
    assert found.utilization == pytest.approx(0.85, abs=0.005)
    assert found.hours == pytest.approx(991.5 / 3600)
    assert found.stored == pytest.approx(0.5)


def test_one_proposer_is_the_limit_of_many_workers_that_each_bring_news() -> None:
    given = costs(2.0, 0.0, serial=False, again=2.0)
    found = simulate(given, np.full(4000, 100.0), 1000, 4000, server=True)
    assert found.proposals == pytest.approx(0.5, rel=0.05)
    assert found.utilization == pytest.approx(0.05, rel=0.1)


def test_nobody_waits_for_others_longer_than_half_a_minute() -> None:
    found = simulate(costs(2.0, 0.0, serial=False), np.full(20_000, 68.0), 1000, 20_000, server=False)
    assert found.utilization == pytest.approx(0.68, abs=0.02)


def test_a_journal_serves_one_at_a_time() -> None:
    found = simulate(costs(0.0, 0.5, serial=True), np.full(4000, 10.0), 1000, 4000, server=False)
    assert found.proposals == pytest.approx(2.0, rel=0.05)


def test_one_proposer_shares_its_fit_among_those_that_ask_together() -> None:
    given = costs(2.0, 0.0, serial=False, again=0.01)
    durations = np.full(1000, 100.0)
    alone, together = (simulate(given, durations, 200, 1000, server=server) for server in (False, True))
    assert (alone.utilization, together.utilization) == pytest.approx((0.757, 0.961), abs=0.01)


def test_costs_grow_between_what_was_measured() -> None:
    grown = Costs(SIZES, np.array([1.0, 3.0]), *[np.zeros(2)] * 3, serial=False)
    assert [grown.at(trials)[0] for trials in (1, 10, 100, 1000, 9000)] == pytest.approx([1, 1, 2, 3, 3])


def test_rows_written_at_once_are_those_that_optuna_writes(tmp_path: Path) -> None:
    micro, url = space("micro").replace(num_classes=10), f"sqlite:///{tmp_path}/studies.db"
    optuna.create_study(storage=url, study_name="other")
    one, many = (optuna.create_study(storage=storage, study_name="filled") for storage in (None, url))
    for study, where in ((one, None), (many, url)):
        fill(study, micro, 2)
        fill(study, micro, 5, where)
        study.add_trial(optuna.create_trial(value=0.5))
    for ours, theirs in zip(many.trials, one.trials, strict=True):
        for name in (
            "number",
            "state",
            "params",
            "distributions",
            "value",
            "user_attrs",
            "intermediate_values",
        ):
            assert getattr(ours, name) == getattr(theirs, name)
