"""Runs every task x opponent x seed of the benchmark.

    python -m experiments.search_benchmark.run --seeds 20
    python -m experiments.search_benchmark.run --ablations --seeds 10
    python -m experiments.search_benchmark.run --only macro gp-ei ridge random --seeds 3

Uses two processes with one thread each. ``--out`` gets one CSV per task. A finished run is one row, so a
killed benchmark loses only the two runs under way; the same command continues.

A row's ``curve`` lists how the incumbent improved, as ``trainings:value`` pairs. The incumbent is the
candidate with the best *observed* score, as a user would choose it; its value is the true score. With two
objectives the value is the hypervolume, from true scores, of the candidates that look nondominated, as a
share of the best known front's.

Costs about three hours on two cores with twenty seeds. Expected: nars has the first mean rank at every
budget.
"""

from __future__ import annotations

import argparse
import csv
import os
import sys
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import as_completed
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from experiments.resumable import workers
from experiments.search_benchmark.opponents import OPPONENTS, Optimizer
from experiments.search_benchmark.problem import Array, Task
from experiments.search_benchmark.reference import Reference, nondominated, reference
from experiments.search_benchmark.tasks import DEFAULT_DATA, TASKS, available, load
from nars.errors import NarsError, UsageError, closest
from nars.space.genotypes import Matrix

__all__ = ["CACHE", "RESULTS", "Job", "Row", "Searched", "chosen", "jobs", "read_rows", "run", "search"]

RESULTS = Path(__file__).parent / "results"
"""Rows of every run, one CSV per task."""

CACHE = Path(__file__).parents[2] / "build" / "search_benchmark"
"""References of the tasks, and the report."""

BUDGETS = (16, 32, 64, 128, 256)
"""Numbers of trainings after which searches are compared."""

_THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
"""Environment variables that set the threads of a process."""

_GRID = 8
"""Trainings between two hypervolumes of a curve."""


@dataclass(frozen=True)
class Job:
    """One run to do."""

    task: str
    opponent: str
    seed: int
    budget: int
    """Trainings; the opponent is told their number."""


@dataclass(frozen=True)
class Row:
    """One finished run."""

    opponent: str
    seed: int
    budget: int
    seconds: float
    """Seconds of the whole run that the opponent spent in `ask` and `tell`."""
    rejected: int
    """Proposals beyond a limit."""
    curve: str
    """``trainings:value`` pairs."""


@dataclass(frozen=True)
class Searched:
    """The candidates that a search trained, in order."""

    matrix: Matrix
    observed: Array
    """Objectives [n, k] that the optimizer was told."""
    true: Array
    """True scores [n]."""
    seconds: float
    """Seconds spent in `ask` and `tell`."""

    @property
    def incumbents(self) -> Iterator[tuple[int, float]]:
        """Pairs (trainings, true score) each time that another candidate has the best observed score."""
        best = -np.inf
        for count, (score, truth) in enumerate(zip(self.observed[:, 0], self.true, strict=True), start=1):
            if score > best:
                best = score
                yield count, truth

    def then(self, other: Searched) -> Searched:
        """This search followed by another one of the same task."""
        return Searched(
            np.concatenate([self.matrix, other.matrix]),
            np.concatenate([self.observed, other.observed]),
            np.concatenate([self.true, other.true]),
            self.seconds + other.seconds,
        )


def search(task: Task, optimizer: Optimizer, budget: int, seed: int) -> Searched:
    """Let `optimizer` search; train `budget` candidates. Its proposals must be within the limits."""
    noise, k = np.random.default_rng([seed, 1]), len(task.problem.directions)
    parts, observed, true, seconds = [], np.zeros((0, k)), np.zeros(0), 0.0
    while len(true) < budget:
        start = time.perf_counter()
        matrix = optimizer.ask()[: budget - len(true)]
        seconds += time.perf_counter() - start
        assert len(matrix) > 0, f"{task.name}: no proposal"
        assert task.problem.feasible(matrix).all(), f"{task.name}: a proposal beyond a limit"
        scores, seen = task.train(matrix, noise)
        values = task.problem.values(matrix, seen)
        parts.append(matrix)
        observed, true = np.concatenate([observed, values]), np.concatenate([true, scores])
        start = time.perf_counter()
        optimizer.tell(matrix, values)
        seconds += time.perf_counter() - start
    return Searched(np.concatenate(parts), observed, true, seconds)


def run(task: Task, known: Reference, job: Job) -> Row:
    """Do one job; with two objectives its curve is relative to the front of `known`."""
    optimizer = OPPONENTS[job.opponent].make(task.problem, job.budget, job.seed)
    found = search(task, optimizer, job.budget, job.seed)
    curve = found.incumbents if task.problem.cost is None else _volumes(found, known)
    text = " ".join(f"{count}:{value:.6g}" for count, value in curve)
    return Row(job.opponent, job.seed, job.budget, round(found.seconds, 3), optimizer.rejected, text)


def _volumes(found: Searched, known: Reference) -> Iterator[tuple[int, float]]:
    for count in range(_GRID, len(found.true) + 1, _GRID):
        front = nondominated(found.observed[:count])
        yield count, known.volume(np.stack([found.true[front], found.observed[front, 1]], axis=1))


def read_rows(path: Path) -> list[Row]:
    """Every complete line of a CSV; one that a kill cut short is left out."""
    if not path.exists():
        return []
    whole = [line for line in path.read_text().splitlines(keepends=True) if line.endswith("\n")]
    return [
        Row(
            row["opponent"],
            int(row["seed"]),
            int(row["budget"]),
            float(row["seconds"]),
            int(row["rejected"]),
            row["curve"],
        )
        for row in csv.DictReader(whole)
    ]


def write_rows(path: Path, rows: Sequence[Row]) -> None:
    """Write a CSV anew."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, list(Row.__dataclass_fields__), lineterminator="\n")
        writer.writeheader()
        writer.writerows(map(asdict, rows))


def _append(path: Path, row: Row) -> None:
    with path.open("a", newline="") as file:
        csv.DictWriter(file, list(Row.__dataclass_fields__), lineterminator="\n").writerow(asdict(row))


def jobs(tasks: Sequence[str], opponents: Sequence[str], seeds: int, budgets: Sequence[int]) -> list[Job]:
    """Every run of the benchmark, seed by seed, so that an unfinished benchmark is balanced.

    Slow opponents run beyond their budget last.
    """
    wanted, long = [], []
    for seed in range(seeds):
        for name in opponents:
            opponent, most = OPPONENTS[name], max(budgets)
            budget = min(most, opponent.most_budget)
            wanted += [Job(task, name, seed, budget) for task in tasks if seed < opponent.most_seeds]
            if budget < most and seed < opponent.long_seeds:
                long += [Job(task, name, seed, most) for task in tasks]
    return wanted + long


def _work(job: Job, data_root: Path) -> tuple[Job, Row]:
    task = load(job.task, data_root)
    return job, run(task, reference(task, CACHE), job)


def main(arguments: Sequence[str] | None = None) -> int:
    options = _parse(arguments)
    tasks, missing = available(options.tasks, options.data_root)
    for name, reason in missing.items():
        print(f"skipped {name}: {reason}")
    done = {}
    for name in tasks:
        rows = read_rows(options.out / f"{name}.csv")
        write_rows(options.out / f"{name}.csv", rows)
        done[name] = {(row.opponent, row.seed, row.budget) for row in rows}
        reference(load(name, options.data_root), CACHE)
    todo = [
        job
        for job in jobs(tasks, options.opponents, options.seeds, sorted(options.budgets))
        if OPPONENTS[job.opponent].applies(load(job.task, options.data_root).problem)
        and (job.opponent, job.seed, job.budget) not in done[job.task]
    ]
    # Workers read these when they start. SMAC's proposals depend on the order of sets.
    os.environ.update({**dict.fromkeys(_THREADS, "1"), "PYTHONHASHSEED": "0"})
    with workers(options.processes) as pool:
        futures = [pool.submit(_work, job, options.data_root) for job in todo]
        for count, future in enumerate(as_completed(futures), start=1):
            job, row = future.result()
            _append(options.out / f"{job.task}.csv", row)
            print(
                f"{count}/{len(todo)} {job.task} {row.opponent} seed {row.seed}: {row.seconds:.1f} s",
                flush=True,
            )
    return 0


def chosen(only: Sequence[str] = (), ablations: bool = False) -> tuple[list[str], list[str]]:
    """Tasks and opponents to run: those named in `only`, or all.

    All opponents are, with `ablations`, the variants of nars and otherwise everything but these. Raises
    `UsageError` for a name that is neither a task nor an opponent.
    """
    for name in only:
        if name not in TASKS and name not in OPPONENTS:
            raise UsageError(f"no task or opponent {name!r}: {closest(name, [*TASKS, *OPPONENTS])}")
    tasks = [name for name in TASKS if name in only]
    opponents = [name for name in OPPONENTS if name in only]
    every = [name for name, opponent in OPPONENTS.items() if opponent.variant == ablations]
    return tasks or list(TASKS), opponents or every


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m experiments.search_benchmark.run",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--seeds", type=int, default=20, help="seeds 0 .. N-1 (slow opponents have fewer)")
    parser.add_argument(
        "--budgets",
        type=_numbers,
        default=BUDGETS,
        help="trainings to compare after; searches run to the largest",
    )
    parser.add_argument(
        "--ablations",
        action="store_true",
        help="run nars without one of its parts each instead of the opponents",
    )
    parser.add_argument("--only", nargs="+", default=[], metavar="NAME", help="names of tasks and opponents")
    parser.add_argument("--data-root", type=Path, default=DEFAULT_DATA, help="folder of nas/")
    parser.add_argument("--out", type=Path, default=RESULTS, help="folder of the CSVs")
    parser.add_argument("--processes", type=int, default=2, help="searches at once")
    options = parser.parse_args(arguments)
    options.tasks, options.opponents = chosen(options.only, options.ablations)
    return options


def _numbers(text: str) -> tuple[int, ...]:
    return tuple(int(part) for part in text.split(","))


if __name__ == "__main__":
    try:
        sys.exit(main())
    except NarsError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(2)
