"""The results of a search, as values and as files."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
import optuna
import pandas as pd
import pytest
import studies
from optuna.study import Study

from nars.errors import RunError
from nars.runs.config import SearchConfig
from nars.runs.run import Run
from nars.searching.results import (
    best_candidate,
    best_yaml,
    front_table,
    rank_correlation,
    trials_table,
    winner,
    write_results,
)
from nars.searching.summary import Summary
from nars.spec import Candidate, read
from nars.trials import Record

SEARCH = studies.config(32)
BOTH = studies.config(32, ("accuracy", "macs"))


@pytest.fixture(scope="module")
def study() -> Study:
    return studies.finished(SEARCH)


@pytest.fixture
def run(tmp_path: Path) -> Run:
    (tmp_path / "first").mkdir()
    return Run(tmp_path / "first", SEARCH, "nowhere", "first")


def test_the_table_has_a_row_for_every_trial(study: Study) -> None:
    table = trials_table(study, SEARCH)
    assert table["trial"].tolist() == [trial.number for trial in study.trials]
    assert set(table["state"]) == {"complete", "pruned", "fail", "void"}
    assert table["reason"].notna().sum() == (table["state"] != "complete").sum()
    complete = table[table["state"] == "complete"]
    assert (
        complete[["accuracy", "macs", "params", "epochs", "seconds", "seed", *SEARCH.space.distributions]]
        .notna()
        .all(axis=None)
    )
    assert table[table["state"] == "pruned"]["estimate"].between(0, 1).all()


def test_an_empty_table_has_its_columns() -> None:
    table = trials_table(studies.finished(SEARCH, 0, troubles=False), SEARCH)
    assert len(table) == 0
    assert {"trial", "state", "accuracy", "macs"} <= set(table.columns)


def test_the_winner_within_tighter_limits(study: Study) -> None:
    best = winner(study, SEARCH)
    assert len(best.runs) > 1
    macs = sorted(Record.of(trial).measured["macs"] for trial in studies.trials(study) if trial.values)
    tight = {"macs": macs[len(macs) // 3]}
    small = winner(study, SEARCH, tight)
    known = [Record.of(study.trials[number]).measured["macs"] for number in small.numbers]
    assert max(known) <= tight["macs"]
    assert small.mean[0] == max(
        trial.values[0]
        for trial in study.trials
        if trial.state == optuna.trial.TrialState.COMPLETE
        and Record.of(trial).measured["macs"] <= tight["macs"]
    )
    with pytest.raises(RunError, match=r"no trained candidate with macs <= 10 yet"):
        winner(study, SEARCH, {"macs": 10})
    with pytest.raises(RunError, match=r"no trained candidate with params <= 1234567 yet"):
        winner(studies.finished(SEARCH, 0), SEARCH, {"params": 1234567})
    with pytest.raises(RunError, match="has no trained candidate yet"):
        winner(studies.finished(SEARCH, 0), SEARCH)


def test_limits_on_what_was_not_measured_exclude(study: Study) -> None:
    unmeasured = studies.finished(SEARCH, 6, troubles=False)
    for trial in studies.trials(unmeasured):
        trial.user_attrs.pop("latency")
    with pytest.raises(RunError, match="no trained candidate with latency <= 1 yet"):
        winner(unmeasured, SEARCH, {"latency": 1.0})


@pytest.mark.parametrize("search", [SEARCH, BOTH], ids=["one objective", "two"])
def test_the_front_is_not_dominated_and_rises(search: SearchConfig) -> None:
    found = studies.finished(search)
    table = front_table(found, search)
    assert len(table) >= 2
    assert (np.diff(table["macs"]) > 0).all()
    assert (np.diff(table["accuracy"]) > 0).all()
    assert {"trial", "runs", "sd", *search.space.distributions} <= set(table.columns)
    limit = {"macs": float(table["macs"].iloc[0])}
    assert front_table(found, search, limit)["macs"].max() <= limit["macs"]
    assert len(front_table(found, search, {"macs": 1.0})) == 0


def test_rank_correlation_needs_trials_that_differ() -> None:
    def trials(pairs: list[tuple[float, float]]) -> list[Any]:
        return [
            optuna.create_trial(value=score, user_attrs={"predicted": guess, "accuracy": score})
            for guess, score in pairs
        ]

    rising = [(0.1 * n, 0.2 * n) for n in range(6)]
    found = rank_correlation(trials(rising), "accuracy")
    assert found is not None
    assert (found.value, found.pairs) == (pytest.approx(1), 6)
    fallen = rank_correlation(trials([(-a, b) for a, b in rising]), "accuracy")
    assert fallen is not None
    assert fallen.value == pytest.approx(-1)
    assert rank_correlation(trials(rising[:3]), "accuracy") is None
    assert rank_correlation(trials([(0.5, b) for _, b in rising]), "accuracy") is None
    assert rank_correlation([], "accuracy") is None


def test_files_are_written_whole_and_read_back(run: Run, study: Study) -> None:
    write_results(run, study)
    folder = run.folder
    assert sorted(file.name for file in folder.iterdir()) == ["best.yaml", "pareto.csv", "trials.csv"]
    pd.testing.assert_frame_equal(
        pd.read_csv(folder / "pareto.csv"),
        pd.read_csv(io.StringIO(front_table(study, SEARCH).to_csv(index=False))),
    )
    assert len(pd.read_csv(folder / "trials.csv")) == len(study.trials)
    best = read(folder / "best.yaml")
    assert isinstance(best, Candidate)
    assert best == best_candidate(SEARCH, winner(study, SEARCH))
    assert best.architecture.name == "best"
    assert best.data == SEARCH.data


def test_without_a_trained_candidate_there_is_only_the_table(run: Run) -> None:
    write_results(run, studies.finished(SEARCH, 0))
    assert [file.name for file in run.folder.iterdir()] == ["trials.csv"]


def test_best_yaml_says_where_it_comes_from(run: Run, study: Study) -> None:
    best = winner(study, SEARCH)
    head, _, rest = best_yaml(run, study, best).partition("\n")
    numbers = ", ".join(map(str, best.numbers))
    assert best.spread is not None
    assert head == (
        f"# val accuracy {best.mean[0]:.4f} ({len(best.runs)} runs, sd {best.spread[0]:.4f}): "
        f"trial {numbers} of first, classification of digits"
    )
    assert rest.startswith("kind: candidate\nschema: 1\n")
    single = studies.finished(SEARCH, 3, troubles=False)
    assert " (1 run): trial " in best_yaml(run, single, winner(single, SEARCH))


def test_summary(run: Run, study: Study) -> None:
    found = Summary.of(run, study).to_dict()
    assert (found["budget"], found["spent"]) == ("32 trials", 32)
    assert sum(found["trials"].values()) == len(study.trials)
    trust = found["predictor_rank_correlation"]
    assert trust["spearman"] > 0.5
    assert trust["trials"] >= 5
    best = winner(study, SEARCH)
    assert found["best"]["accuracy"] == best.mean[0]
    assert found["best"]["trials"] == list(best.numbers)
    assert found["best"]["macs"] == study.trials[best.numbers[0]].user_attrs["macs"]
    nothing = Summary.of(run, studies.finished(SEARCH, 0)).to_dict()
    assert (nothing["best"], nothing["predictor_rank_correlation"]) == (None, None)
