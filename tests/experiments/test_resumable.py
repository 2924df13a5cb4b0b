"""An experiment that goes on where it was."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from experiments.resumable import work_through

KEY = ("name", "seed")


def half(name: str, seed: int) -> list[dict[str, object]]:
    return [{"name": name, "seed": seed, "part": part, "value": seed / 2} for part in ("a", "b")]


def test_only_jobs_without_rows_are_done_and_rows_are_sorted(tmp_path: Path) -> None:
    path = tmp_path / "rows.csv"
    work_through(path, KEY, [("y", 3), ("x", 1)], half, processes=1)
    table = pd.read_csv(path)
    assert table["name"].tolist() == ["x", "x", "y", "y"]
    table.assign(value=9).to_csv(path, index=False)
    work_through(path, KEY, [("y", 3), ("x", 1), ("x", 2)], half, processes=1)
    after = pd.read_csv(path)
    assert after["value"].tolist() == [9, 9, 1, 1, 9, 9]  # what was there was not done again
    assert after["part"].tolist() == ["a", "b"] * 3
