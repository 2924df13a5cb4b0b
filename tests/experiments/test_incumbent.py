"""Who chooses the best of noisy trainings."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from experiments import incumbent
from experiments.search_benchmark.tasks import TASKS


def test_who_is_told_the_truth_is_never_behind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(incumbent, "SHOWN", (8, 24))
    monkeypatch.setattr(incumbent, "CACHE", tmp_path)
    monkeypatch.setattr(incumbent, "RESULTS", tmp_path / "incumbent.csv")
    monkeypatch.setattr(incumbent, "TASKS", ("toy",))
    table = pd.DataFrame([row for seed in (0, 1) for row in incumbent.one_search("toy", seed, tmp_path)])
    assert table["choice"].tolist() == list(incumbent.CHOICES) * 2
    numbers = table.set_index(["choice", "seed"])[["regret_8", "regret_24", "reached"]]
    assert (numbers.loc["told"] <= numbers.loc["observed"]).all(axis=None)
    assert (numbers.loc["told"] <= numbers.loc["predicted"]).all(axis=None)
    table["reached"] = np.inf
    table.to_csv(incumbent.RESULTS, index=False)
    incumbent.show()
    assert "told:" in capsys.readouterr().out


def test_its_tasks_are_those_of_the_benchmark() -> None:
    assert set(incumbent.TASKS) < set(TASKS)
