"""Measures how much regret it costs to train many candidates at once, after equally many results.

    OMP_NUM_THREADS=1 python -m experiments.search_benchmark.many_workers [--workers 1 4 16 64] [--seeds 20]
    python -m experiments.search_benchmark.many_workers --print

Workers on one study ask, train and tell, on tables of the benchmark and on a simulated clock: a training
takes as long as one drawn from those measured for `experiments/joint_table`, and all others that run then are
running trials of the study. A row of ``many_workers.csv`` is one search: its normalized regret after 16
and 32 told results, and the processor's seconds per proposal. The cost of many workers is their regret less
that of one; searches by one worker of nars are those of the benchmark (results/) and are not run again. A
killed run continues with the same command. TPE is multivariate with the constant liar.

Costs half an hour on one core. Expected: sixteen workers of nars cost .045 of regret or less after 16
results, and nars is ahead of TPE with any number of workers.
"""

from __future__ import annotations

import argparse
import heapq
import os
import sys
import time
import warnings
from collections.abc import Callable, Sequence
from functools import cache, partial
from pathlib import Path
from typing import Any

import numpy as np
import optuna
import pandas as pd
from optuna.samplers import BaseSampler, TPESampler
from optuna.trial import Trial
from scipy.stats import t

from experiments.resumable import work_through
from experiments.search_benchmark.opponents.optuna_samplers import StudyOptimizer
from experiments.search_benchmark.problem import Array, Problem, Task
from experiments.search_benchmark.reference import reference
from experiments.search_benchmark.report import value_at
from experiments.search_benchmark.run import CACHE, Row, read_rows
from experiments.search_benchmark.run import RESULTS as BENCHMARK
from experiments.search_benchmark.tasks import DEFAULT_DATA, TASKS, load
from nars.sampling.sampler import NarsSampler
from nars.space.genotypes import Matrix

__all__ = ["SAMPLERS", "durations", "one_search", "simulate", "table"]

RESULTS = Path(__file__).with_name("many_workers.csv")
"""A row for every search."""

TIMES = Path(__file__).parents[1] / "joint_table" / "micro-fashion.csv.gz"
"""Measured trainings; their column ``seconds`` is drawn from."""

TOLD = (16, 32)
"""Told results after which searches are compared."""


def _nars(problem: Problem, seed: int) -> BaseSampler:
    return NarsSampler(problem.domain, limits=problem.limits, objectives=["accuracy"], seed=seed)


def _tpe(problem: Problem, seed: int) -> BaseSampler:
    return TPESampler(multivariate=True, constant_liar=True, seed=seed)


SAMPLERS: dict[str, Callable[[Problem, int], BaseSampler]] = {"nars": _nars, "tpe": _tpe}
"""The samplers by name, each made for a problem and a seed."""


@cache
def durations() -> Array:
    """Seconds [n] of measured trainings."""
    return np.asarray(pd.read_csv(TIMES)["seconds"], dtype=np.float64)


def simulate(
    task: Task, optimizer: StudyOptimizer, workers: int, told: int, seed: int
) -> tuple[Array, Array, float]:
    """Let so many workers search until `told` results.

    Returns observed and true scores [told] in the order of their arrival, and the processor's seconds per
    proposal.
    """
    noise, clock = np.random.default_rng([seed, 1]), np.random.default_rng([seed, 2])
    running: list[tuple[float, int, Trial, Matrix]] = []  # a heap by the time at which trainings end
    observed, true, asked, seconds, now = np.zeros(told), np.zeros(told), 0, 0.0, 0.0
    for count in range(told):
        while len(running) < workers:
            started = time.process_time()
            trial, matrix = optimizer.ask_trial()
            seconds += time.process_time() - started
            heapq.heappush(running, (now + clock.choice(durations()), asked, trial, matrix))
            asked += 1
        now, _, trial, matrix = heapq.heappop(running)
        truth, seen = task.train(matrix, noise)
        optimizer.tell_trial(trial, task.problem.values(matrix, seen))
        observed[count], true[count] = seen[0], truth[0]
    return observed, true, seconds / asked


def one_search(task: str, sampler: str, workers: int, seed: int, data_root: Path) -> list[dict[str, Any]]:
    """Run a search and give its row."""
    warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
    table_task = load(task, data_root)
    known, problem = reference(table_task, CACHE), table_task.problem
    row = {"task": task, "sampler": sampler, "workers": workers, "seed": seed}
    if workers == 1 and (done := _of_benchmark(task, sampler, seed)) is not None:
        best, seconds = [value_at(done, n) for n in TOLD], done.seconds / done.budget
    else:
        optimizer = StudyOptimizer(problem, seed, lambda: SAMPLERS[sampler](problem, seed))
        observed, true, seconds = simulate(table_task, optimizer, workers, max(TOLD), seed)
        best = [true[observed[:n].argmax()] for n in TOLD]
    regrets = {f"regret_{n}": round(known.regret(value), 6) for n, value in zip(TOLD, best, strict=True)}
    return [{**row, **regrets, "seconds_per_proposal": round(seconds, 4)}]


def _of_benchmark(task: str, sampler: str, seed: int) -> Row | None:
    """The same search by one worker of nars, if the benchmark has it; TPE has other settings there."""
    rows = read_rows(BENCHMARK / f"{task}.csv") if sampler == "nars" else []
    return next((row for row in rows if (row.opponent, row.seed) == (sampler, seed)), None)


def table(rows: pd.DataFrame) -> str:
    """Mean regret of every sampler and number of workers, ± 95 % over seeds, and what many workers cost."""
    head = " | ".join(f"{n} | cost" for n in TOLD)
    lines = [f"| task | sampler | workers | seeds | {head} | CPU s a proposal |", "|---" * 11 + "|"]
    for (task, sampler), part in rows.groupby(["task", "sampler"], sort=False):
        alone = part[part["workers"] == 1].set_index("seed")
        for workers, some in part.groupby("workers"):
            cells = []
            for column in (f"regret_{n}" for n in TOLD):
                values = some.set_index("seed")[column]
                cells += [_interval(values), _interval((values - alone[column]).dropna())]
            cells.append(f"{some['seconds_per_proposal'].mean():.3f}")
            lines.append(f"| {task} | {sampler} | {workers} | {len(some)} | {' | '.join(cells)} |")
    return "\n".join(lines)


def _interval(values: pd.Series[float]) -> str:
    n = len(values)
    if n < 2:
        return f"{values.mean():.3f}" if n else ""
    return f"{values.mean():.3f} ± {t.ppf(0.975, n - 1) * values.std(ddof=1) / np.sqrt(n):.3f}"


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m experiments.search_benchmark.many_workers",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    several = [name for name in TASKS if not name.endswith("pareto")]
    tasks = ["micro-digits-2M", "micro-fashion-2M"]
    parser.add_argument("--tasks", nargs="+", choices=several, default=tasks, metavar="TASK")
    parser.add_argument("--samplers", nargs="+", choices=SAMPLERS, default=list(SAMPLERS))
    parser.add_argument("--workers", type=int, nargs="+", default=[1, 4, 16, 64])
    parser.add_argument("--seeds", type=int, default=20, help="seeds 0 .. N-1")
    parser.add_argument("--data-root", type=Path, default=DEFAULT_DATA, help="folder of nas/")
    parser.add_argument("--processes", type=int, default=1, help="searches at once")
    parser.add_argument("--out", type=Path, default=RESULTS, help="the CSV")
    parser.add_argument("--print", dest="only_print", action="store_true", help="only print what is on file")
    options = parser.parse_args(arguments)
    if not options.only_print:
        os.environ["OMP_NUM_THREADS"] = "1"
        jobs = [
            (task, sampler, workers, seed)
            for seed in range(options.seeds)
            for task in options.tasks
            for workers in options.workers
            for sampler in options.samplers
        ]
        work = partial(one_search, data_root=options.data_root)
        work_through(options.out, ("task", "sampler", "workers", "seed"), jobs, work, options.processes)
    print(table(pd.read_csv(options.out)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
