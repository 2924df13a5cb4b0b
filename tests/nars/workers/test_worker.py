"""The search in one process, with a stub task: budget, limits, failures, kills and resumption."""

from __future__ import annotations

import errno
import os
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import optuna
import pytest
from optuna.study import Study
from optuna.trial import TrialState
from stub_task import FEW, StubTask, complete, config, path, search, trials

import nars
from nars.errors import (
    InfeasibleError,
    NonFiniteLossError,
    RunError,
    StorageAwayError,
    TrialMemoryError,
    UsageError,
)
from nars.runs import outage
from nars.runs.budget import Budget
from nars.runs.run import config_of, open_run, start_run
from nars.searching.confirm import confirmations
from nars.searching.early_stopping import TAUGHT_BY
from nars.searching.pruners import PRUNERS, make_pruner
from nars.searching.samplers import SAMPLERS
from nars.searching.wrappers import SearchSampler
from nars.studies import write_code_version
from nars.trials import INTERRUPTED, REFUSED, Record
from nars.workers import worker
from nars.workers.join import join
from nars.workers.search import Search
from nars.workers.worker import work

CHEAP = {"early_stopping": False}


def hook_at(when: int, raised: BaseException, epoch: int = 1) -> Callable[[int, int], None]:
    """Make a hook that raises before this epoch of training `when`; both are counted from 0."""

    def hook(nth: int, at: int) -> None:
        if (nth, at) == (when, epoch):
            raise raised

    return hook


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


@pytest.mark.parametrize("budget", ["7", "33ep"])
def test_a_budget_is_never_over_by_more_than_a_trial(
    stub: type[StubTask], tmp_path: Path, budget: str
) -> None:
    given = config(budget, sampler="random", **CHEAP)
    study = search(given, tmp_path / "run")
    spent = given.total.spent(trials(study))
    assert given.total.amount <= spent < given.total.amount + (1 if budget == "7" else 5)
    assert given.total.spent(trials(study)[:-1]) < given.total.amount
    search(given, tmp_path / "run")
    assert len(stub.trained) == len(trials(study))  # the same command again finds nothing left to do


def test_a_budget_of_time_ends_a_training_in_its_middle(stub: type[StubTask], tmp_path: Path) -> None:
    clock: list[Any] = []

    def hook(nth: int, epoch: int) -> None:
        import time

        clock.append(nth)
        time.sleep(0.06)

    stub.hook = hook
    study = search(config("1s", sampler="random", **CHEAP), tmp_path / "run")
    done = trials(study)
    assert [trial.state for trial in done[:-1]] == [TrialState.COMPLETE] * (len(done) - 1)
    # A training is at most five epochs of 0.06 s, so without being ended it would exceed by no more.
    assert 1 <= config("1s").total.spent(done) < 1 + 5 * 0.06 + 0.5
    if done[-1].state == TrialState.PRUNED:
        assert "out of time" in Record.of(done[-1]).reason


def test_a_larger_budget_goes_on(stub: type[StubTask], tmp_path: Path) -> None:
    search(config("6", sampler="random"), tmp_path / "run")
    study = search(config("9", sampler="random"), tmp_path / "run")
    assert len(trials(study)) == len(stub.trained) == 9
    search(config("4", sampler="random"), tmp_path / "run")
    assert len(stub.trained) == 9


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_same_seed_same_search(stub: type[StubTask], tmp_path: Path, sampler: str) -> None:
    one, two = (search(config("9", sampler=sampler), tmp_path / name) for name in ("one", "two"))
    assert path(one) == path(two)
    if sampler == "nars":
        other = search(config("9", sampler=sampler, seed=1), tmp_path / "other")
        assert path(other) != path(one)


@pytest.mark.parametrize("sampler", ["nars", "random", "tpe", "qmc"])
@pytest.mark.parametrize("when", [0, 5, 11, 15])
def test_a_killed_search_resumed_takes_the_same_path(
    stub: type[StubTask], tmp_path: Path, sampler: str, when: int
) -> None:
    given = config("16", sampler=sampler)
    expected = path(search(given, tmp_path / "whole"))
    stub.trained.clear()
    stub.hook = hook_at(when, KeyboardInterrupt())
    with pytest.raises(KeyboardInterrupt):
        search(given, tmp_path / "killed")
    stub.hook = None
    study = search(given, tmp_path / "killed")
    assert path(study) == expected
    assert len(stub.trained) == 17  # one candidate twice, with the same seed
    killed, again = stub.trained[when : when + 2]
    assert (again[0].recipe, again[0].architecture.stages, again[1]) == (
        killed[0].recipe,
        killed[0].architecture.stages,
        killed[1],
    )
    repeated = [trial for trial in trials(study) if Record.of(trial).repeats is not None]
    assert [Record.of(trial).repeats for trial in repeated] == [when]


def test_killed_again_and_again(stub: type[StubTask], tmp_path: Path) -> None:
    """The search is killed in the first epoch of every training, before anything is known of it."""
    given = config("8")
    expected = path(search(given, tmp_path / "whole"))
    for _ in range(7):
        begun = len(stub.trained)
        stub.hook = hook_at(begun + 1, SystemExit(143), epoch=0)
        with pytest.raises(SystemExit):
            search(given, tmp_path / "killed")
    stub.hook = None
    assert path(search(given, tmp_path / "killed")) == expected


@pytest.mark.parametrize("raised", [KeyboardInterrupt(), MemoryError(), RuntimeError("a bug")], ids=repr)
def test_an_interruption_while_proposing_leaves_nothing_running(
    stub: type[StubTask], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, raised: BaseException
) -> None:
    given = config("12")
    expected = path(search(given, tmp_path / "whole"))

    def fail(*arguments: Any) -> Any:
        raise raised

    with monkeypatch.context() as during:
        during.setattr("nars.sampling.proposer.Proposer._choose", fail)
        with pytest.raises(type(raised)):
            search(given, tmp_path / "killed")
    study = open_run(tmp_path / "killed").study()
    assert TrialState.RUNNING not in {trial.state for trial in study.trials}
    assert path(search(given, tmp_path / "killed")) == expected


def test_an_interruption_after_the_score_is_told_repeats_nothing(
    stub: type[StubTask], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    given, tell = config("6", sampler="random"), Study.tell

    def interrupted(self: Study, *arguments: Any, **options: Any) -> Any:
        told = tell(self, *arguments, **options)
        if len(stub.trained) == 3:
            raise SystemExit(143)
        return told

    with monkeypatch.context() as during:
        during.setattr(Study, "tell", interrupted)
        with pytest.raises(SystemExit):
            search(given, tmp_path / "run")
    study = search(given, tmp_path / "run")
    assert len(stub.trained) == 6
    assert not [trial for trial in study.trials if Record.of(trial).void]


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


def test_a_search_in_which_all_fail_ends_without_a_winner(stub: type[StubTask], tmp_path: Path) -> None:
    def hook(nth: int, epoch: int) -> None:
        raise NonFiniteLossError("loss is nan")

    stub.hook = hook
    study = search(config("8"), tmp_path / "run")
    assert {trial.state for trial in trials(study)} == {TrialState.FAIL}
    assert len(trials(study)) == 8
    assert not (tmp_path / "run" / "best.yaml").exists()


def test_our_own_errors_are_not_a_candidates_fault(stub: type[StubTask], tmp_path: Path) -> None:
    stub.hook = hook_at(1, AssertionError("ours"))
    with pytest.raises(AssertionError, match="ours"):
        search(config("6"), tmp_path / "run")
    states = [Record.of(trial).void for trial in open_run(tmp_path / "run").study().trials]
    assert states == [None, INTERRUPTED, None]


@pytest.mark.parametrize("sampler", ["nars", "random"])
def test_limits_hold_for_everything_trained(stub: type[StubTask], tmp_path: Path, sampler: str) -> None:
    limits = {"macs": 4e4, "params": 2500.0}
    study = search(config("10", limits=limits, sampler=sampler), tmp_path / "run")
    for trial in trials(study):
        assert Record.of(trial).measured["macs"] <= 4e4
        assert Record.of(trial).measured["params"] <= 2500
        assert set(trial.constraints.values()) != set()
        assert max(trial.constraints.values()) <= 0


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


def test_a_front_with_early_stopping(stub: type[StubTask], tmp_path: Path) -> None:
    """Optuna takes no intermediate values of several objectives, so stopped trials have estimates instead."""
    study = search(config("40", objectives=("accuracy", "macs"), sampler="random"), tmp_path / "run")
    states = [trial.state for trial in trials(study)]
    assert states.count(TrialState.PRUNED) > 0
    for trial in trials(study):
        if trial.state == TrialState.PRUNED:
            accuracy, macs = Record.of(trial).estimate
            assert 0 < accuracy < 1
            assert macs == Record.of(trial).measured["macs"]
            assert ": not among " in Record.of(trial).reason
            assert Record.of(trial).epochs < stub.trained[trial.number][0].recipe.epochs
    assert len((tmp_path / "run" / "pareto.csv").read_text().splitlines()) > 3


def test_early_stopping_of_one_objective_waits_for_those_that_teach_it(
    stub: type[StubTask], tmp_path: Path
) -> None:
    study = search(config("40", sampler="random"), tmp_path / "run")
    inner = [trial.number for trial in trials(study) if trial.state == TrialState.PRUNED]
    assert inner
    assert min(inner) >= TAUGHT_BY
    for number in inner:
        trial = study.trials[number]
        assert Record.of(trial).estimate[0] == pytest.approx(
            2 * Record.of(trial).measured["accuracy"] / (1 + Record.of(trial).curve[-1][0]), abs=0.02
        )
    assert {trial.state for trial in trials(study) if Record.of(trial).confirms is not None} == {
        TrialState.COMPLETE
    }
    without = search(config("40", sampler="random", early_stopping=False), tmp_path / "without")
    assert {trial.state for trial in trials(without)} == {TrialState.COMPLETE}


@pytest.mark.parametrize("name", PRUNERS)
def test_pruners_of_optuna(stub: type[StubTask], tmp_path: Path, name: str) -> None:
    study = search(config("24", pruner=name, sampler="random", **CHEAP), tmp_path / "run")
    pruned = [trial for trial in trials(study) if trial.state == TrialState.PRUNED]
    assert bool(pruned) == (name != "none")
    assert all(name in Record.of(trial).reason for trial in pruned)


def test_no_such_pruner() -> None:
    with pytest.raises(UsageError, match="no pruner 'medain': did you mean 'median'"):
        make_pruner("medain")


def test_long_trainings_report_each_percent_once(stub: type[StubTask], tmp_path: Path) -> None:
    space = FEW.replace(recipe={"epochs": 250})
    study = search(config("1", space=space, sampler="random"), tmp_path / "run")
    assert len(study.trials[0].intermediate_values) == 101
    assert len(Record.of(study.trials[0]).curve) == 250


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


def test_the_budget_is_shared_with_whoever_else_works(stub: type[StubTask], tmp_path: Path) -> None:
    """The trials of another worker, which asks while ours trains, count against the budget, too."""
    given = config("6", sampler="random")
    run = start_run(tmp_path / "run", given, None)
    study = run.study()

    def hook(nth: int, epoch: int) -> None:
        if nth in (1, 2) and epoch == 0:
            other = optuna.load_study(study_name=run.name, storage=run.study()._storage)
            trial = other.ask(dict(given.space.distributions))
            trial.set_user_attr("worker", "elsewhere:1:1.0")
            trial.set_user_attr("epochs", 2)
            other.tell(trial, 0.1)

    stub.hook = hook
    work(Search.of(study, given, stub.open("none", "cpu")), study)
    assert len(stub.trained) == 4
    assert len(trials(study)) == 6


def test_a_trial_asked_for_when_the_budget_is_gone_is_void(stub: type[StubTask], tmp_path: Path) -> None:
    given = config("3", sampler="random")
    run = start_run(tmp_path / "run", given, None)
    asked: list[int] = []
    original = Budget.is_spent

    def late(self: Any, trials: Any) -> bool:
        """Look before the other workers have spent the budget, so the trial is asked for after that."""
        if len(stub.trained) == 3 and not asked:
            asked.append(1)
            return False
        return original(self, trials)

    with pytest.MonkeyPatch.context() as during:
        during.setattr(Budget, "is_spent", late)
        study = run.study()
        work(Search.of(study, given, stub.open("none", "cpu")), study)
    voided = run.study().trials[-1]
    assert (voided.state, Record.of(voided).void) == (TrialState.FAIL, REFUSED)
    assert Record.of(voided).reason == "the budget was spent by other workers"
    assert len(stub.trained) == 3


def test_epochs_of_a_proposal_are_reserved_before_it_is_known(stub: type[StubTask], tmp_path: Path) -> None:
    """Another worker that asks in the meantime must not take them, too."""
    given = config("50ep")
    study = start_run(tmp_path / "run", given, None).study()
    signature = Record(worker="me", epochs=given.space.most_epochs)
    study.sampler = SearchSampler.of(given, given.space, signature)
    study.ask()
    assert given.total.spent(study.trials) == 5  # the longest training of the space


def test_another_search_is_refused_before_anything_is_trained(stub: type[StubTask], tmp_path: Path) -> None:
    search(config("3", sampler="random"), tmp_path / "run")
    for changes in ({"seed": 1}, {"limits": {"macs": 9e4}}, {"space": FEW}, {"data_fingerprint": "stub:x"}):
        with pytest.raises(RunError, match="holds another search"):
            search(config("9", **({"sampler": "random"} | changes)), tmp_path / "run")
    assert len(stub.trained) == 3


def full(file: int) -> None:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def test_a_full_disk_ends_the_search_if_nobody_makes_room_and_the_run_goes_on_later(
    stub: type[StubTask], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    given = config("8", sampler="random")
    expected = path(search(given, tmp_path / "whole"))
    stub.trained.clear()
    stub.hook = lambda nth, epoch: monkeypatch.setattr("os.fsync", full) if nth == 3 else None
    with monkeypatch.context() as hurried:
        hurried.setattr(outage, "PATIENCE_SECONDS", 0.0)
        with pytest.raises(StorageAwayError, match="is away for 0 minutes: No space left"):
            search(given, tmp_path / "run")
    stub.hook = None
    monkeypatch.setattr("os.fsync", lambda file: None)
    kill_workers_of(tmp_path / "run")
    study = search(given, tmp_path / "run")
    assert path(study) == expected


def test_a_full_disk_is_waited_out(
    stub: type[StubTask], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """The training goes on while its scores cannot be written; the search waits with its result."""
    given = config("5", sampler="random")
    expected = path(search(given, tmp_path / "whole"))
    stub.trained.clear()
    pauses: list[float] = []

    def pause(seconds: float) -> None:
        pauses.append(seconds)
        if len(pauses) == 3:
            monkeypatch.setattr("os.fsync", lambda file: None)

    monkeypatch.setattr(outage.time, "sleep", pause)
    stub.hook = lambda nth, epoch: monkeypatch.setattr("os.fsync", full) if (nth, epoch) == (2, 0) else None
    study = search(given, tmp_path / "run")
    assert path(study) == expected
    assert len(stub.trained) == 5
    assert pauses[:3] == [0.25, 0.5, 1.0]
    assert [record.message.partition(": ")[2] for record in caplog.records if "answer" in record.message] == [
        "No space left on device; waiting, trainings go on"
    ]


def kill_workers_of(folder: Path) -> None:
    """Make the trials left running look as if their process, which is this one, had ended."""
    study = replace(open_run(folder), starts=True).study()
    for trial in study.get_trials(states=(TrialState.RUNNING,)):
        study._storage.set_trial_user_attr(trial._trial_id, "worker", f"{os.uname().nodename}:999999999:1.0")


def test_joining_by_storage_and_name(stub: type[StubTask], tmp_path: Path) -> None:
    run = start_run(tmp_path / "run", config("4", sampler="random"), None)
    run.study()
    join(run.storage, "run", data=None, device="cpu", parent=None)
    assert len(stub.trained) == 4
    assert config_of(run.study()).budget == "4"


def test_joining_a_search_that_an_older_version_began(
    stub: type[StubTask], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = start_run(tmp_path / "run", config("1", sampler="random", data_fingerprint="stub:names"), None)
    run.study()
    monkeypatch.setattr(stub, "earlier_fingerprints", ("stub:names",))
    join(run.storage, "run", data=None, device="cpu", parent=None)
    assert len(stub.trained) == 1


def test_joining_what_is_not_there_or_with_other_data(stub: type[StubTask], tmp_path: Path) -> None:
    run = start_run(tmp_path / "run", config("4"), None)
    run.study()
    with pytest.raises(UsageError, match=r"no study 'runn' in .*study\.journal; there: run"):
        join(run.storage, "runn", data=None, device="cpu", parent=None)
    with pytest.raises(RunError, match="the data at elsewhere is not that of study run"):
        join(run.storage, "run", data="elsewhere", device="cpu", parent=None)
    assert stub.trained == []


def test_code_that_only_a_run_names_is_not_run(
    stub: type[StubTask], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "strangers_code.py").write_text("raise AssertionError('it was run')")
    asked = config("3", objectives=("strangers_code:f",))
    run = start_run(tmp_path / "run", asked, None)
    run.study()
    with pytest.raises(UsageError, match="study run is scored by code, strangers_code:f: repeat --metric"):
        join(run.storage, "run", data=None, device="cpu", parent=None)
    with pytest.raises(UsageError, match="the configured search is scored by code, strangers_code:f"):
        nars.search(asked, tmp_path / "run")
    with pytest.raises(UsageError, match="study run is scored by strangers_code:f, got --metric other:f"):
        join(run.storage, "run", data=None, device="cpu", parent=None, metric="other:f")
    assert "strangers_code" not in sys.modules
    for repeated in (
        lambda: nars.search(asked, tmp_path / "run", metric="strangers_code:f"),
        lambda: join(run.storage, "run", data=None, device="cpu", parent=None, metric="strangers_code:f"),
    ):
        with pytest.raises(UsageError, match="importing strangers_code failed: AssertionError: it was run"):
            repeated()


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"workers": 0}, "workers is a number of processes from 1, or None, got 0"),
        ({"workers": "2"}, "workers is a number of processes"),
        ({"run": 3}, "run is the path of a folder, got 3"),
        ({"request": "photos/"}, "takes its settings by name, such as data=..., got 'photos/'"),
        ({"request": config("3"), "metric": "auroc"}, "search is scored by accuracy, got --metric auroc"),
        ({"request": config("3"), "budget": 4}, "takes no further settings, got budget"),
    ],
)
def test_arguments_of_another_kind_are_refused(given: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        nars.search(**given)


def test_a_mistyped_storage_leaves_no_run_folder(stub: type[StubTask], tmp_path: Path) -> None:
    with pytest.raises(RunError, match="cannot open storage"):
        nars.search(config("3"), tmp_path / "run", "sqlite:///nosuch/folder/q.db")
    assert not (tmp_path / "run").exists()


def test_settings_may_be_text_as_on_the_command_line() -> None:
    request = nars.SearchRequest(objectives="accuracy, macs", fix="recipe=r.yaml", warm_start=Path("run"))
    assert (request.objectives, request.fix) == (("accuracy", "macs"), ("recipe=r.yaml",))
    assert request.warm_start == (Path("run"),)


def test_a_worker_of_other_code_is_refused_with_what_differs(stub: type[StubTask], tmp_path: Path) -> None:
    run = start_run(tmp_path / "run", config("2", sampler="random"), None)
    write_code_version(run.study(), "0.0.9 (01234567)")
    with pytest.raises(
        RunError, match=r"study run is run by nars 0\.0\.9 \(01234567\), this worker is .*: install"
    ):
        join(run.storage, "run", data=None, device="cpu", parent=None)
    nars.search(run.config, run.folder)  # whoever continues the search says which code it is run by
    join(run.storage, "run", data=None, device="cpu", parent=None)


def test_data_that_vanish_in_the_middle_are_waited_for(
    stub: type[StubTask], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = tmp_path / "photos"
    data.mkdir()
    given = config("3", sampler="random", data=str(data), data_fingerprint=f"stub:{data}")
    run = start_run(tmp_path / "run", given, None)
    run.study()

    def vanish(nth: int, epoch: int) -> None:
        if (nth, epoch) == (1, 1):
            data.rmdir()
            raise FileNotFoundError(errno.ENOENT, "No such file", str(data / "a.png"))

    stub.hook = vanish
    monkeypatch.setattr("nars.workers.join.time.sleep", lambda seconds: data.mkdir(exist_ok=True))
    join(run.storage, "run", data=None, device="cpu", parent=None)
    study = run.study()
    assert len(trials(study)) == 3
    assert [Record.of(trial).void for trial in study.trials] == [None, INTERRUPTED, None, None]


def test_a_disk_without_room_is_reported_before_anything_is_trained(
    stub: type[StubTask], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("nars.runs.run.shutil.disk_usage", lambda folder: SimpleNamespace(free=3e6))
    with pytest.raises(RunError, match="only 3 MB are free there, a search needs 50"):
        nars.search(config("2"), tmp_path / "run")
    assert stub.trained == []
