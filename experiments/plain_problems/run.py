"""Compares samplers in plain Optuna studies.

    OMP_NUM_THREADS=1 python -m experiments.plain_problems.run [--seeds 10] [--samplers nars tpe gp random]
    python -m experiments.plain_problems.run --print

A row of ``results.csv`` is one study of 40 trials: what the best of its first 10, 20 and 40 trials lacks to
the optimum, and the processor's seconds. A killed run continues with the same command. The opponents are
Optuna's TPE (multivariate), Optuna's Gaussian process, BoTorch (optuna-integration's
`BoTorchSampler`; extra ``benchmark``) and random search, each with its own defaults otherwise.

Costs an hour on one core, most of it for BoTorch. Expected: nars has the first mean rank after 20 and 40
trials.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
import warnings
from collections.abc import Callable, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import optuna
import pandas as pd
from optuna.samplers import BaseSampler, GPSampler, RandomSampler, TPESampler
from scipy.stats import t

from experiments.plain_problems.problems import PROBLEMS
from experiments.resumable import work_through
from nars.sampling.sampler import NarsSampler

__all__ = ["SAMPLERS", "one_study", "ranks", "table"]

RESULTS = Path(__file__).with_name("results.csv")
"""A row for every study."""

SHOWN = (10, 20, 40)
"""Numbers of trials after which results are kept; a study has as many as the last."""


def _botorch(seed: int) -> BaseSampler:
    from optuna_integration import BoTorchSampler  # an extra

    sampler: BaseSampler = BoTorchSampler(seed=seed)
    return sampler


SAMPLERS: dict[str, Callable[[int], BaseSampler]] = {
    "nars": lambda seed: NarsSampler(seed=seed),
    "tpe": lambda seed: TPESampler(seed=seed, multivariate=True),
    "gp": lambda seed: GPSampler(seed=seed),
    "botorch": _botorch,
    "random": lambda seed: RandomSampler(seed=seed),
}
"""The samplers by name, each made from a seed."""


def one_study(problem: str, sampler: str, seed: int) -> list[dict[str, Any]]:
    """Run a study and give its row."""
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    chosen = PROBLEMS[problem]
    with warnings.catch_warnings(action="ignore"):  # what is experimental in Optuna
        study = optuna.create_study(
            directions=["minimize"] * chosen.objectives, sampler=SAMPLERS[sampler](seed)
        )
        started = time.process_time()
        study.optimize(chosen.objective, n_trials=SHOWN[-1])
    seconds = time.process_time() - started
    losses = {f"loss_{count}": round(chosen.loss(study, count), 6) for count in SHOWN}
    return [{"problem": problem, "sampler": sampler, "seed": seed, **losses, "cpu_s": round(seconds, 2)}]


def ranks(rows: pd.DataFrame) -> pd.DataFrame:
    """The mean rank of each sampler after each number of trials, over the seeds that all samplers have."""
    columns = [f"loss_{count}" for count in SHOWN]
    wide = rows.pivot_table(index=["problem", "seed"], columns="sampler", values=columns).dropna()
    means = {column: pd.DataFrame(wide[column]).rank(axis=1).mean() for column in columns}
    return pd.DataFrame(means).sort_values(columns[-1])


def table(rows: pd.DataFrame) -> str:
    """The mean loss of every sampler on every problem, ± 95 % over seeds, with seconds per study."""
    lines = ["| problem | sampler | 10 | 20 | 40 | CPU s |", "|---|---|---|---|---|---|"]
    for (problem, sampler), part in rows.groupby(["problem", "sampler"], sort=False):
        cells = [_interval(part[f"loss_{count}"]) for count in SHOWN]
        lines.append(f"| {problem} | {sampler} | {' | '.join(cells)} | {part['cpu_s'].mean():.1f} |")
    return "\n".join(lines)


def _interval(values: pd.Series[float]) -> str:
    n = len(values)
    half = t.ppf(0.975, n - 1) * values.std(ddof=1) / np.sqrt(n) if n > 1 else np.nan
    return f"{values.mean():.3f} ± {half:.3f}"


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m experiments.plain_problems.run",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--seeds", type=int, default=10, help="seeds 0 .. N-1")
    parser.add_argument("--problems", nargs="+", choices=PROBLEMS, default=list(PROBLEMS))
    parser.add_argument("--samplers", nargs="+", choices=SAMPLERS, default=list(SAMPLERS))
    parser.add_argument("--processes", type=int, default=1, help="studies at once")
    parser.add_argument("--out", type=Path, default=RESULTS, help="the CSV")
    parser.add_argument("--print", dest="only_print", action="store_true", help="only print what is on file")
    options = parser.parse_args(arguments)
    if not options.only_print:
        os.environ["OMP_NUM_THREADS"] = "1"
        samplers = [name for name in options.samplers if name != "botorch" or find_spec("optuna_integration")]
        jobs = [
            (problem, sampler, seed)
            for seed in range(options.seeds)
            for sampler in samplers
            for problem in options.problems
        ]
        work_through(options.out, ("problem", "sampler", "seed"), jobs, one_study, options.processes)
    rows = pd.read_csv(options.out)
    print(table(rows))
    print(ranks(rows).round(2).to_string())
    return 0


if __name__ == "__main__":
    sys.exit(main())
