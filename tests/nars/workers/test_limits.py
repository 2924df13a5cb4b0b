"""Limits of a search in one process: they hold for all that is trained, also when only measured."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from optuna.trial import TrialState
from stub_task import StubTask, config, search, trials

from nars.errors import InfeasibleError
from nars.runs.run import open_run
from nars.trials import REFUSED, Record
from nars.workers import worker


@pytest.fixture
def fake_latency(monkeypatch: pytest.MonkeyPatch) -> dict[str, float]:
    """Fake the measurement of latency: it is proportional to MACs, with an outlier in every third call."""
    import nars.tasks.base
    from nars.networks.latency import COUNT, Latency
    from nars.space.cost import count

    state = {"calls": 0.0, "slower": 1.0}

    def measure(architecture: Any, num_classes: int, device: Any, **options: Any) -> Latency:
        state["calls"] += 1
        macs = count(architecture, num_classes=num_classes).macs
        outlier = 10 if state["calls"] % 3 == 0 else 1
        # Samples of the latency model are taken before the search, when the machine was not yet slower.
        slower = 1.0 if state["calls"] <= COUNT else state["slower"]
        return Latency(*[1e-8 * macs * outlier * slower] * 3, runs=1)

    monkeypatch.setattr(nars.tasks.base, "measure", measure)
    return state


@pytest.mark.parametrize("sampler", ["nars", "random"])
def test_limits_hold_for_everything_trained(stub: type[StubTask], tmp_path: Path, sampler: str) -> None:
    limits = {"macs": 4e4, "params": 2500.0}
    study = search(config("10", limits=limits, sampler=sampler), tmp_path / "run")
    for trial in trials(study):
        assert Record.of(trial).measured["macs"] <= 4e4
        assert Record.of(trial).measured["params"] <= 2500
        assert set(trial.constraints.values()) != set()
        assert max(trial.constraints.values()) <= 0


def test_the_latency_of_a_candidate_is_measured_once(
    stub: type[StubTask], tmp_path: Path, fake_latency: dict[str, float]
) -> None:
    """A confirmation was refused by the noise of another measurement, again and again."""
    from nars.networks.latency import COUNT

    study = search(config("16", limits={"latency": 10.0}), tmp_path / "run")
    repeated = [trial for trial in trials(study) if Record.of(trial).confirms is not None]
    assert repeated
    for trial in repeated:
        first = Record.of(study.trials[Record.of(trial).confirms])
        assert Record.of(trial).measured["latency"] == first.measured["latency"]
    assert fake_latency["calls"] == COUNT + len(trials(study)) - len(repeated)


def test_infeasible_limits_leave_no_trial_behind(stub: type[StubTask], tmp_path: Path) -> None:
    with pytest.raises(InfeasibleError, match="the smallest possible is macs"):
        search(config("10", limits={"macs": 5.0}), tmp_path / "run")
    assert stub.trained == []
    assert {trial.state for trial in open_run(tmp_path / "run").study().trials} == {TrialState.FAIL}


def test_what_breaks_a_limit_only_when_measured_is_refused_and_costs_nothing(
    stub: type[StubTask], tmp_path: Path, fake_latency: dict[str, float]
) -> None:
    study = search(config("8", limits={"latency": 5e-3}), tmp_path / "run")
    refused = [trial for trial in study.trials if Record.of(trial).void == REFUSED]
    assert refused
    assert all(
        "latency" in Record.of(trial).reason and "> 0.005" in Record.of(trial).reason for trial in refused
    )
    assert len(trials(study)) == len(stub.trained) == 8
    assert max(Record.of(trial).measured["latency"] for trial in trials(study)) <= 5e-3


def test_a_latency_that_nothing_meets_when_measured(
    stub: type[StubTask], tmp_path: Path, fake_latency: dict[str, float], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(worker, "MOST_REFUSED", 4)
    fake_latency["slower"] = 1e3  # than in the samples that the prediction was learned from
    with pytest.raises(
        InfeasibleError, match=r"over a limit when measured, the last with latency .*; the smallest"
    ):
        search(config("8", limits={"latency": 5e-3}), tmp_path / "run")
    assert stub.trained == []
