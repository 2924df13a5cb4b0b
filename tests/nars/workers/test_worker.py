"""The search in one process, with a stub task: its path, its records, candidates that fail."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest
import stub_task
from optuna.trial import TrialState
from stub_task import FEW, StubTask, complete, config, hook_at, path, search, trials

from nars.errors import NonFiniteLossError, RunError, TrialMemoryError
from nars.searching.confirm import confirmations
from nars.searching.samplers import SAMPLERS
from nars.trials import Record


def test_a_search_from_end_to_end(stub: type[StubTask], tmp_path: Path) -> None:
    study = search(config("20"), tmp_path / "run")
    assert len(trials(study)) == len(stub.trained) == 20
    assert {"config.yaml", "study.journal", "best.yaml", "pareto.csv", "trials.csv"} <= {
        file.name for file in (tmp_path / "run").iterdir()
    }
    last = [Record.of(trial).confirms for trial in trials(study)]
    kept = confirmations(config("20").total)
    assert [number is not None for number in last] == [False] * (20 - kept) + [True] * kept
    assert len({Record.of(trial).seed for trial in trials(study)}) == 20
    for trial, (candidate, seed) in zip(trials(study), stub.trained, strict=True):
        known = trial.user_attrs
        assert (known["seed"], known["epochs"] <= candidate.recipe.epochs) == (seed, True)
        assert {"macs", "params", "accuracy", "seconds", "curve", "worker"} <= known.keys()
    predicted = [Record.of(trial).predicted is not None for trial in trials(study)]
    first = predicted.index(True)
    assert predicted == [False] * first + [True] * (20 - kept - first) + [False] * kept


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_same_seed_same_search(stub: type[StubTask], tmp_path: Path, sampler: str) -> None:
    one, two = (search(config("9", sampler=sampler), tmp_path / name) for name in ("one", "two"))
    assert path(one) == path(two)
    if sampler == "nars":
        other = search(config("9", sampler=sampler, seed=1), tmp_path / "other")
        assert path(other) != path(one)


FAILURES = [
    NonFiniteLossError("loss is nan in epoch 2 of 5, step 1 of 9"),
    TrialMemoryError("out of memory while training at 16 px in batches of 64"),
]


@pytest.mark.parametrize("raised", FAILURES, ids=lambda error: type(error).__name__)
def test_one_candidate_that_fails_costs_one_trial_and_says_why(
    stub: type[StubTask], tmp_path: Path, raised: Exception
) -> None:
    stub.hook = hook_at(2, raised)
    study = search(config("8"), tmp_path / "run")
    states = [trial.state for trial in trials(study)]
    assert states[2] == TrialState.FAIL
    assert states.count(TrialState.FAIL) == 1
    assert len(states) == len(stub.trained) == 8
    failed = trials(study)[2]
    assert Record.of(failed).reason == str(raised)
    assert Record.of(failed).epochs == 2  # a budget in epochs pays for those begun
    assert str(raised) in (tmp_path / "run" / "trials.csv").read_text()


@pytest.mark.parametrize("wrong", [math.nan, math.inf])
def test_a_score_that_is_no_number_costs_one_trial_and_leaves_the_run_readable(
    wrong: float, stub: type[StubTask], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    original = stub_task.score
    monkeypatch.setattr(
        stub_task, "score", lambda candidate, seed: wrong if seed == 2 else original(candidate, seed)
    )
    study = search(config("4", sampler="random"), tmp_path / "run")
    states = [trial.state for trial in study.trials]
    assert states == [TrialState.COMPLETE] * 2 + [TrialState.FAIL, TrialState.COMPLETE]
    assert Record.of(study.trials[2]).reason == f"its score is {wrong} after epoch 1"
    assert len(search(config("5", sampler="random"), tmp_path / "run").trials) == 5


def test_a_search_in_which_all_fail_ends_without_a_winner(stub: type[StubTask], tmp_path: Path) -> None:
    def hook(nth: int, epoch: int) -> None:
        raise NonFiniteLossError("loss is nan")

    stub.hook = hook
    study = search(config("8"), tmp_path / "run")
    assert {trial.state for trial in trials(study)} == {TrialState.FAIL}
    assert len(trials(study)) == 8
    assert not (tmp_path / "run" / "best.yaml").exists()


def test_a_space_smaller_than_the_budget(stub: type[StubTask], tmp_path: Path) -> None:
    study = search(config("10", space=FEW), tmp_path / "run")
    assert len({str(trial.params) for trial in trials(study)}) == 4
    assert len(stub.trained) == 10


def test_confirmations_have_fresh_seeds_and_their_mean_decides(stub: type[StubTask], tmp_path: Path) -> None:
    study = search(config("40"), tmp_path / "run")
    runs: dict[str, list[Any]] = {}
    for trial in complete(study):
        runs.setdefault(str(trial.params), []).append(trial)
    repeated = {key: each for key, each in runs.items() if len(each) > 1}
    assert sum(len(each) - 1 for each in repeated.values()) == confirmations(config("40").total) == 6
    assert all(len({Record.of(trial).seed for trial in each}) == len(each) for each in repeated.values())
    means = {key: sum(trial.value for trial in each) / len(each) for key, each in repeated.items()}
    best = repeated[max(means, key=means.__getitem__)]
    head = (tmp_path / "run" / "best.yaml").read_text().splitlines()[0]
    assert f"{max(means.values()):.4f} ({len(best)} runs" in head


def test_another_search_is_refused_before_anything_is_trained(stub: type[StubTask], tmp_path: Path) -> None:
    search(config("3", sampler="random"), tmp_path / "run")
    for changes in ({"seed": 1}, {"limits": {"macs": 9e4}}, {"space": FEW}, {"data_fingerprint": "stub:x"}):
        with pytest.raises(RunError, match="holds another search"):
            search(config("9", **({"sampler": "random"} | changes)), tmp_path / "run")
    assert len(stub.trained) == 3
