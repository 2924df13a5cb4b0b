"""Simulated workers tell in the order of a clock, and rows of two folders are compared by their curves."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import optuna
import pandas as pd
import pytest
from optuna.samplers import RandomSampler

from experiments.search_benchmark import many_workers, same_rows
from experiments.search_benchmark.opponents.optuna_samplers import StudyOptimizer
from experiments.search_benchmark.run import Row, write_rows
from experiments.search_benchmark.tasks import load


def test_so_many_workers_train_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(many_workers, "durations", lambda: np.array([1.0, 2.0, 5.0]))
    task, most = load("toy-limit"), 0
    optimizer = StudyOptimizer(task.problem, 0, lambda: RandomSampler(seed=0))
    told = optimizer.tell_trial

    def counted(trial: optuna.trial.Trial, values: np.ndarray) -> None:
        nonlocal most
        running = [t for t in optimizer.study.get_trials(deepcopy=False) if not t.state.is_finished()]
        most = max(most, len(running))
        told(trial, values)

    monkeypatch.setattr(optimizer, "tell_trial", counted)
    observed, true, seconds = many_workers.simulate(task, optimizer, 4, 12, 0)
    assert most == 4
    assert len(observed) == len(true) == 12
    assert np.abs(observed - true).max() < 0.1
    assert seconds > 0
    done = optuna.trial.TrialState.COMPLETE
    assert len(optimizer.study.get_trials(states=[done])) == 12


def test_the_table_has_the_cost_of_many_workers() -> None:
    rows = pd.DataFrame(
        [
            {"task": "toy", "sampler": "nars", "workers": workers, "seed": seed, "seconds_per_proposal": 0.1}
            | {f"regret_{n}": 0.1 * seed + (0.25 if workers == 16 else 0.0) for n in many_workers.TOLD}
            for workers in (1, 16)
            for seed in range(3)
        ]
    )
    lines = many_workers.table(rows).splitlines()
    assert lines[2].startswith("| toy | nars | 1 | 3 | 0.100 ± 0.248 | 0.000 ± 0.000 |")
    assert lines[3].startswith("| toy | nars | 16 | 3 | 0.350 ± 0.248 | 0.250 ± 0.000 |")


@pytest.mark.parametrize(
    ("curve", "budget", "at"),
    [
        ("1:0.5 7:0.75", 16, None),
        ("1:0.5 7:0.75 20:0.9", 32, None),
        ("1:0.5 7:0.75 12:0.9", 32, 12),
        ("1:0.5 7:0.7", 16, 7),
        ("1:0.5", 16, 7),
    ],
)
def test_curves_are_compared_up_to_the_smaller_budget(curve: str, budget: int, at: int | None) -> None:
    known = Row("nars", 0, 16, 1.0, 0, "1:0.5 7:0.75")
    assert same_rows.differs_at(Row("nars", 0, budget, 2.0, 0, curve), known) == at


def test_a_folder_is_compared_with_the_committed_one(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = [Row("nars", seed, 16, 1.0, 0, "1:0.5 7:0.75") for seed in range(2)]
    write_rows(tmp_path / "known" / "toy.csv", rows)
    write_rows(tmp_path / "again" / "toy.csv", rows)
    arguments = [str(tmp_path / "again"), "--results", str(tmp_path / "known")]
    assert same_rows.main(arguments) == 0
    assert capsys.readouterr().out.splitlines()[-1] == "2 of 2 equal"
    write_rows(tmp_path / "again" / "toy.csv", [rows[0], Row("nars", 1, 16, 1.0, 0, "1:0.5 9:0.75")])
    assert same_rows.main(arguments) == 1
    assert "toy nars seed 1, 16 trainings: differs from training 7 on" in capsys.readouterr().out
