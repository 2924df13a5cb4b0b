"""Is anything lost, or trained twice, when workers of a search are killed at random moments?

    python -m experiments.faults [--rounds 10] [--workers 4] [--budget 24] [--seed 0] [--storage URL]

In each round a search with stub trainings of a second or two loses random workers to SIGKILL; in every fifth
round all of its processes are killed at once, in every tenth the one that started the others. The same
command then continues it until the budget is spent. Then its study is checked:

- Is every trial that was finished before a kill still there, unchanged?
- Was any genotype trained to the end twice, or any trial repeated twice?
- Was exactly the budget trained?

A round takes half a minute on two cores. Expected: 0 lost, 0 doubled, every budget met. Without ``--storage``
each round has a journal; a URL such as postgresql://nars@localhost/nars gets one study per round.
"""

from __future__ import annotations

import argparse
import contextlib
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np
import optuna
import psutil
import torch
from optuna.trial import FrozenTrial, TrialState

from experiments.kill_and_resume import SPACE, doubled, finished
from nars.cli import main as nars_command
from nars.engines import assignment
from nars.runs.run import open_run
from nars.space.cost import count
from nars.spec import Candidate
from nars.tasks import TASKS
from nars.tasks.base import Outcome, Task
from nars.training.loop import Progress
from nars.trials import Record, counts

_EPOCH_SECONDS = 0.4
"""Duration of an epoch of a stub training, which has two to four."""

_KILLS = 3
"""Kills in a round."""


class Waiting(Task):
    """A task whose trainings only wait; its score is a function of the candidate's MACs."""

    name = "waiting"
    metric = "accuracy"

    def __init__(self, device: torch.device) -> None:
        self.device = device

    @classmethod
    def open(cls, source: str | Path, device: torch.device, *, drop_bad: bool = False) -> Self:
        return cls(device)

    @property
    def num_classes(self) -> int:
        return 10

    @property
    def fingerprint(self) -> str:
        return self.name

    def describe(self) -> str:
        return "no data"

    def run(
        self,
        candidate: Candidate,
        *,
        seed: int,
        on_epoch: Callable[[Progress], bool] | None = None,
        checkpoint: Path | None = None,
    ) -> Outcome:
        score = min(1.0, 0.1 * float(np.log10(count(candidate.architecture, num_classes=10).macs)))
        epochs, curve = candidate.recipe.epochs, []
        for epoch in range(1, epochs + 1):
            time.sleep(_EPOCH_SECONDS)
            curve.append((epoch / epochs, score))
            if on_epoch is not None and not on_epoch(Progress(epoch, epochs, score, 1.0, 0.0)):
                break
        return Outcome(score, len(curve), tuple(curve), _EPOCH_SECONDS * len(curve))


@dataclass
class Counted:
    """Kills and their consequences, in one round or in several."""

    kills: int = 0
    lost: int = 0
    doubled: int = 0
    failed: int = 0
    off_budget: int = 0

    def __add__(self, other: Self) -> Counted:
        return Counted(*(a + b for a, b in zip(vars(self).values(), vars(other).values(), strict=True)))


def main() -> None:
    TASKS[Waiting.name] = "experiments.faults:Waiting"
    if sys.argv[1:2] in (["search"], ["worker"]):  # the command line of nars, with one more task
        assignment.NARS = ("-m", "experiments.faults")
        sys.exit(nars_command(sys.argv[1:]))
    options = _parse()
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    total = Counted()
    for number in range(options.rounds):
        with tempfile.TemporaryDirectory() as folder:
            found = _round(Path(folder) / f"faults-{options.seed}-{number}", number, options)
        total += found
        print(f"round {number}: {found}", flush=True)
    print(f"{options.rounds} rounds of {options.budget} trials with {options.workers} workers: {total}")
    sys.exit(1 if total.lost or total.doubled or total.off_budget else 0)


def search_command(
    folder: Path, budget: int, workers: int, storage: str | None = None, engine: str = "local"
) -> list[str]:
    """Return the command of a search of stub trainings, which writes its space beside the run folder."""
    space = folder.with_suffix(".yaml")
    space.write_text(SPACE)
    command = [sys.executable, "-m", "experiments.faults", "search", "--task", Waiting.name, "--data", "none"]
    command += ["--space", str(space), "--budget", str(budget), "--workers", str(workers)]
    command += ["--sampler", "random", "--no-early-stopping", "--device", "cpu", "--run", str(folder)]
    return [*command, "--engine", engine, *(["--storage", storage] if storage else [])]


def _round(folder: Path, number: int, options: argparse.Namespace) -> Counted:
    rng = np.random.default_rng([options.seed, number])
    command = search_command(folder, options.budget, options.workers, options.storage, options.engine)
    victims = "all" if number % 5 == 4 else "head" if number % 10 == 2 else "one"
    known: dict[int, tuple[Any, ...]] = {}
    kills = lost = 0
    process = _start(command)
    while kills < _KILLS and process.poll() is None:
        with contextlib.suppress(psutil.TimeoutExpired):
            process.wait(timeout=float(rng.uniform(4, 9)))
        if process.poll() is None and _kill(process, rng, victims):
            kills += 1
            now = finished(folder, options.storage)
            lost += sum(now.get(trial) != record for trial, record in known.items())
            known = now
            process = process if victims == "one" else _start(command)
    if process.wait(timeout=300) != 0:
        raise SystemExit(f"round {number}: the search ended with {process.returncode}")
    trials = open_run(folder, options.storage).study().get_trials(deepcopy=False)
    now = finished(folder, options.storage)
    lost += sum(now.get(trial) != record for trial, record in known.items())
    repeats = [Record.of(trial).repeats for trial in trials if _is_repetition(trial)]
    twice = doubled(trials) + len(repeats) - len(set(repeats))
    failed = sum(counts(trial) and trial.state == TrialState.FAIL for trial in trials)
    spent = sum(counts(trial) for trial in trials)
    return Counted(kills, lost, twice, failed, int(spent != options.budget))


def _is_repetition(trial: FrozenTrial) -> bool:
    return counts(trial) and Record.of(trial).repeats is not None


def _start(command: list[str]) -> psutil.Popen:
    return psutil.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def _kill(process: psutil.Popen, rng: np.random.Generator, victims: str) -> bool:
    """Kill ``one`` worker at random, the ``head`` of the search, or ``all``; False if no worker is there."""
    workers = [child for child in process.children(recursive=True) if "worker" in child.cmdline()]
    if not workers:
        return False
    chosen = [process, *workers]
    if victims != "all":
        chosen = [process] if victims == "head" else [workers[int(rng.integers(len(workers)))]]
    for member in chosen:
        with contextlib.suppress(psutil.NoSuchProcess):
            member.kill()
    if victims != "one":
        psutil.wait_procs(chosen)
    return True


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--rounds", type=int, default=10, help="searches")
    parser.add_argument("--workers", type=int, default=4, help="workers of each")
    parser.add_argument("--budget", type=int, default=24, help="trials of each")
    parser.add_argument("--seed", type=int, default=0, help="seed of the moments")
    parser.add_argument("--storage", help="a database instead of a journal for each search")
    parser.add_argument("--engine", default="local", choices=("local", "ray"), help="where workers run")
    return parser.parse_args()


if __name__ == "__main__":
    main()
