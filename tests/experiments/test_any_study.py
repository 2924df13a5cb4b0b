"""The example of docs/optuna.md and the plain problems run, and their results mean what they say."""

from __future__ import annotations

import re

import optuna
import pandas as pd
import pytest

from experiments import any_study
from experiments.plain_problems.first_tries import BAD_INPUT, FIRST_TRIES, said
from experiments.plain_problems.problems import PROBLEMS
from experiments.plain_problems.run import one_study, ranks, table


def test_the_example_keeps_its_limit(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(any_study, "X", any_study.X[::8])
    monkeypatch.setattr(any_study, "Y", any_study.Y[::8])
    any_study.main(3)
    ours, tpe = capsys.readouterr().out.splitlines()
    assert ours.startswith("NarsSampler: best 0.")
    assert ours.endswith("3 of 3 within the limit")
    assert tpe.startswith("TPESampler")


@pytest.mark.parametrize(
    ("problem", "best", "loss"),
    [
        (
            "hartmann",
            {"x0": 0.20169, "x1": 0.150011, "x2": 0.476874, "x3": 0.275332, "x4": 0.311652, "x5": 0.6573},
            0,
        ),
        ("mixed", {"rate": 1e-3, "decay": 1e-4, "layers": 5, "dropout": 0.2, "kind": "adam", "batch": 64}, 0),
        (
            "conditional",
            {"model": "network", "layers": 3, "rate": 10**-2.5, "width0": 0.3, "width1": 0.6, "width2": 0.8},
            0,
        ),
        ("constrained", {"x0": 4.7124, "x1": 1.25325, "y0": 0, "y1": 0}, 0),
        ("constrained", {"x0": 0, "x1": 0, "y0": 0, "y1": 0}, 9.747),
        ("two", {f"x{at}": 0 for at in range(5)}, 1 - 1.1 * 9 / (11 - 1 / 3)),
    ],
)
def test_losses_of_known_points(problem: str, best: dict[str, object], loss: float) -> None:
    chosen = PROBLEMS[problem]
    study = optuna.create_study(directions=["minimize"] * chosen.objectives)
    study.enqueue_trial(best)
    study.optimize(chosen.objective, n_trials=1)
    assert chosen.loss(study, 1) == pytest.approx(loss, abs=1e-3)


def test_a_row_and_the_tables_of_rows() -> None:
    rows = pd.DataFrame(one_study("two", "random", 0) + one_study("two", "tpe", 0))
    assert rows["loss_10"].min() >= rows["loss_40"].min() > 0
    assert set(ranks(rows)["loss_40"]) == {1.0, 2.0}
    assert "| two | random |" in table(rows)


@pytest.mark.parametrize(
    ("what", "now"),
    [
        ("a misspelt parameter: one candidate was trained thirty times", "30 distinct.*did you mean 'y'"),
        ("two studies with the default seed proposed the same", "^7 of 7 trials differ$"),
        ("trial.set_constraint was ignored", r"best within it 0\.10[45]"),
    ],
)
def test_what_once_failed(what: str, now: str) -> None:
    assert re.search(now, said(FIRST_TRIES[what]))


@pytest.mark.parametrize(
    ("what", "now"),
    [
        ("four objectives", "^UsageError: NarsSampler seeks fronts of at most 3 objectives"),
        ("costs that raises", "^UsageError: costs= of NarsSampler failed: KeyError: 'widht'"),
        ("costs that returns NaN", "^UsageError: costs= of NarsSampler: 'area' is nan for x="),
        ("pruned, failed, enqueued and imported trials", r"^32 distinct.*, best (0\.00|.*e-)"),
    ],
)
def test_bad_input_of_a_study(what: str, now: str) -> None:
    assert re.search(now, said(BAD_INPUT[what]))
