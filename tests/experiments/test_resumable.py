"""An experiment that goes on where it was."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
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


ENDLESS = """
import time
from experiments.resumable import workers
if __name__ == "__main__":
    with workers(2) as pool:
        asleep = [pool.submit(time.sleep, seconds) for seconds in (0, 0, 600, 600, 600)]
        [each.result() for each in asleep[:2]]
        print("working", flush=True)
        asleep[2].result()
"""


def test_an_interrupt_ends_the_workers_and_is_one_line(tmp_path: Path) -> None:
    script = tmp_path / "endless.py"
    script.write_text(ENDLESS)
    root = Path(__file__).parents[2]
    command = subprocess.Popen(
        [sys.executable, str(script)],
        env={**os.environ, "PYTHONPATH": str(root)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,
    )
    assert command.stdout is not None
    assert command.stdout.readline() == b"working\n"
    os.killpg(command.pid, signal.SIGINT)  # as a terminal does: to every process
    _, said = command.communicate(timeout=60)  # the pipe closes when the last worker ends
    assert command.returncode == 130
    assert said.decode() == "interrupted: the same command goes on\n"
