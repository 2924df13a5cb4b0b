"""Is anything lost when a search with two workers is killed at ten random moments?

    python -m experiments.kill_and_resume [--kills 10] [--budget 200] [--seed 0]

Starts `nars search` on the embedded digits with a small space, kills the command and its workers with
SIGKILL after a random time, and starts the same command again, until the budget is spent. Then checks the
study:

- Is every trial that was finished before a kill still there, unchanged?
- Was every interrupted trial trained again, once, with the same seed?
- Was anything trained twice?
- Was the budget kept?

Costs five minutes on two cores. Expected: 0 lost, 0 doubled, 200 of 200 trained.
"""

from __future__ import annotations

import argparse
import contextlib
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import optuna
import psutil
from optuna.trial import FrozenTrial, TrialState

from nars.runs.run import open_run
from nars.trials import Record, counts

SPACE = """
kind: space
schema: 1
name: small
resolution: {low: 8, high: 16, step: 4}
stages:
- - {name: stem, op: conv, kernel: 3, channels: {low: 4, high: 12, step: 4}, stride: 2}
- - {name: body, op: mbconv, kernel: [3, 5], expansion: {low: 1, high: 3}, channels: [8, 16], stride: 2}
recipe:
  epochs: {low: 2, high: 4}
  lr: {low: 0.02, high: 0.3, log: true}
"""
"""A space whose candidates train in a second or two."""


def run_and_kill(command: list[str], seconds: float) -> bool:
    """Run `command`; kill it with all its children after `seconds`. True if it ended by itself."""
    process = psutil.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        process.wait(timeout=seconds)
        return True
    except psutil.TimeoutExpired:
        family = [process, *process.children(recursive=True)]
        for member in family:
            with contextlib.suppress(psutil.NoSuchProcess):
                member.kill()
        psutil.wait_procs(family)
        return False


def finished(folder: Path, storage: str | None = None) -> dict[int, tuple[Any, ...]]:
    """State, values and genotype of every finished trial, by number; `storage` is that of the search."""
    if storage is None and not (folder / "study.journal").exists():
        return {}
    trials = open_run(folder, storage).study().get_trials(deepcopy=False)
    return {t.number: (t.state, t.values, t.params) for t in trials if t.state.is_finished()}


def doubled(trials: list[FrozenTrial]) -> int:
    """Count trainings to the end of a genotype that was trained before; confirmations are left out."""
    done = [t for t in trials if t.state == TrialState.COMPLETE and Record.of(t).confirms is None]
    return len(done) - len({str(t.params) for t in done})


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--kills", type=int, default=10, help="kills at most")
    parser.add_argument("--budget", type=int, default=200, help="trials of the search")
    parser.add_argument("--seed", type=int, default=0, help="seed of the moments")
    options = parser.parse_args()
    rng = np.random.default_rng(options.seed)
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    with tempfile.TemporaryDirectory() as parent:
        folder, space = Path(parent) / "run", Path(parent) / "small.yaml"
        space.write_text(SPACE)
        command = [sys.executable, "-m", "nars", "search", "--space", str(space), "--workers", "2"]
        command += ["--budget", str(options.budget), "--run", str(folder)]
        known: dict[int, tuple[Any, ...]] = {}
        lost = kills = 0
        for _ in range(options.kills):
            if run_and_kill(command, rng.uniform(10, 24)):
                break
            kills += 1
            now = finished(folder)
            lost += sum(now.get(number) != record for number, record in known.items())
            known = now
            print(f"kill {kills}: {len(now)} trials on record", flush=True)
        started = time.time()
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        trials = open_run(folder).study().get_trials(deepcopy=False)
    lost += sum((trials[n].state, trials[n].values, trials[n].params) != known[n] for n in known)
    repeats = [Record.of(t).repeats for t in trials if Record.of(t).repeats is not None]
    spent = sum(counts(trial) for trial in trials)
    print(f"{kills} kills, then {time.time() - started:.0f} s to the end; {len(repeats)} trials interrupted")
    print(f"trials lost: {lost}; doubled: {doubled(trials) + len(repeats) - len(set(repeats))}")
    print(f"budget {options.budget}, trained {spent}")
    if lost or doubled(trials) or spent != options.budget:
        sys.exit(1)


if __name__ == "__main__":
    main()
