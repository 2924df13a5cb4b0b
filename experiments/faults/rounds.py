"""Is anything lost, or trained twice, when workers of a search are killed at random moments?

    python -m experiments.faults [--engine local] [--rounds 40] [--workers 4] [--seed 0] [--storage URL]

In each round a search with stub trainings of a second or two loses random workers to SIGKILL; in every fifth
round all of its processes are killed at once, in every tenth the one that started the others (on Ray, Ray's
own head). The same command then continues it until the budget is spent. Then its study is checked:

- Is every trial that was finished before a kill still there, unchanged?
- Was any genotype trained to the end twice, or any trial repeated twice?
- Was exactly the budget trained?

A round takes half a minute on two cores; its row is appended to rounds.csv, and rounds that are there are
left out. Expected: 0 lost, 0 doubled, every budget met. Without ``--storage`` each round has a journal; a URL
such as postgresql://nars@localhost/nars gets one study per round.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import signal
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import optuna
import pandas as pd
import psutil
from optuna.trial import FrozenTrial, TrialState

from experiments.faults.forking import forked
from experiments.faults.waiting import search_command
from experiments.kill_and_resume import doubled, finished
from nars.runs.run import open_run
from nars.trials import Record, counts

__all__ = ["main"]

_ROWS = Path(__file__).with_name("rounds.csv")
"""One row for each round."""

_KILLS = 3
"""Kills in a round."""

_PAUSES = (1.0, 5.0)
"""Shortest and longest time before a kill, in seconds."""

_PATIENCE_SECONDS = 600
"""Longest time that a search may need after its last kill."""


@dataclass(frozen=True)
class Round:
    """A round: its kills, and what came of them."""

    victims: str
    """``one`` worker at a time, the ``head`` of the search, or ``all`` of its processes."""
    kills: int
    lost: int
    """Finished trials that are not there any more, or differ."""
    doubled: int
    """Genotypes trained to the end twice, and trials repeated twice."""
    failed: int
    off_budget: int
    seconds: float


def main() -> None:
    options = _parse()
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    storage = "journal" if options.storage is None else options.storage.partition(":")[0]
    key = {"engine": options.engine, "storage": storage, "seed": options.seed}
    for number in range(options.rounds):
        this = key | {"round": number}
        if any(this.items() <= row.items() for row in _rows()):
            continue
        with tempfile.TemporaryDirectory() as folder:
            found = _round(Path(folder) / f"faults-{options.engine}-{options.seed}-{number}", number, options)
        print(f"{options.engine}, {storage}, round {number}: {found}", flush=True)
        table = pd.DataFrame([*_rows(), this | asdict(found)]).sort_values([*key, "round"], kind="stable")
        table.to_csv(_ROWS, index=False, float_format="%.0f")
    _show(pd.read_csv(_ROWS))


def _rows() -> list[Any]:
    return pd.read_csv(_ROWS).to_dict("records") if _ROWS.exists() else []


def _show(table: pd.DataFrame) -> None:
    sums = ["kills", "lost", "doubled", "failed", "off_budget"]
    groups = table.groupby(["engine", "storage", "victims"])
    print(groups[sums].sum().join(groups.size().rename("rounds")).reset_index().to_string(index=False))
    sys.exit(1 if table[["lost", "doubled", "off_budget"]].to_numpy().any() else 0)


class _Head:
    """The process that runs ``nars search``."""

    def __init__(self, command: list[str], engine: str) -> None:
        self._is_forked = engine == "local"
        if self._is_forked:
            self._process: Any = forked(command)
        else:
            self._process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def wait(self, seconds: float) -> int | None:
        """Return the exit code as soon as there is one; None if there is none after so many seconds."""
        deadline = time.monotonic() + seconds
        while (code := self._code()) is None and time.monotonic() < deadline:
            time.sleep(0.1)
        return code

    def _code(self) -> int | None:
        code: int | None = self._process.exitcode if self._is_forked else self._process.poll()
        return code

    def kill(self, rng: np.random.Generator, victims: str) -> bool:
        """Kill ``one`` worker at random, the ``head``, or ``all`` processes; False if no worker is there."""
        head = psutil.Process(self._process.pid)
        family = head.children(recursive=True)
        workers = [child for child in family if self._is_forked or "--study" in _words(child)]
        if not workers:
            return False
        if victims == "one":
            workers[int(rng.integers(len(workers)))].kill()
            return True
        servers = [child for child in family if "gcs_server" in _words(child)]
        chosen = [head, *workers] if victims == "all" else servers or [head]
        for member in chosen:
            with contextlib.suppress(psutil.NoSuchProcess):
                member.kill()
        code = self.wait(_PATIENCE_SECONDS)
        # Without Ray's head, workers go on until the search notices, and may spend the budget before that.
        expected = (os.EX_TEMPFAIL, 0) if servers and victims == "head" else (-signal.SIGKILL,)
        assert code in expected, code
        return True


def _words(process: psutil.Process) -> list[str]:
    """Return the name and the arguments of a process; nothing if it has just ended."""
    with contextlib.suppress(psutil.NoSuchProcess):
        return [process.name(), *process.cmdline()]
    return []


def _round(folder: Path, number: int, options: argparse.Namespace) -> Round:
    rng = np.random.default_rng([options.seed, number])
    command = search_command(folder, options.budget, options.workers, options.storage, options.engine)
    command += ["--address", "local"] if options.engine == "ray" else []
    victims = "all" if number % 5 == 4 else "head" if number % 10 == 2 else "one"
    known: dict[int, tuple[Any, ...]] = {}
    kills = lost = 0
    began = time.monotonic()
    head = _Head(command, options.engine)
    while kills < _KILLS and head.wait(float(rng.uniform(*_PAUSES))) is None:
        if not head.kill(rng, victims):
            continue
        kills += 1
        now = finished(folder, options.storage)
        lost += sum(now.get(trial) != record for trial, record in known.items())
        known = now
        head = head if victims == "one" else _Head(command, options.engine)
    if (code := head.wait(_PATIENCE_SECONDS)) != 0:
        raise SystemExit(f"round {number}: the search ends with {code}")
    trials = open_run(folder, options.storage).study().get_trials(deepcopy=False)
    now = finished(folder, options.storage)
    lost += sum(now.get(trial) != record for trial, record in known.items())
    repeats = [Record.of(trial).repeats for trial in trials if _is_repetition(trial)]
    twice = doubled(trials) + len(repeats) - len(set(repeats))
    failed = sum(counts(trial) and trial.state == TrialState.FAIL for trial in trials)
    spent = sum(counts(trial) for trial in trials)
    seconds = time.monotonic() - began
    return Round(victims, kills, lost, twice, failed, int(spent != options.budget), seconds)


def _is_repetition(trial: FrozenTrial) -> bool:
    return counts(trial) and Record.of(trial).repeats is not None


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--rounds", type=int, default=40, help="searches")
    parser.add_argument("--workers", type=int, default=4, help="workers of each")
    parser.add_argument("--budget", type=int, default=24, help="trials of each")
    parser.add_argument("--seed", type=int, default=0, help="seed of the moments")
    parser.add_argument("--storage", help="a database instead of a journal for each search")
    parser.add_argument("--engine", default="local", choices=("local", "ray"), help="where workers run")
    return parser.parse_args()
