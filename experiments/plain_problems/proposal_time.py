"""How long does a proposal take in a plain study, and how does that grow with the trials behind it?

    OMP_NUM_THREADS=1 python -m experiments.plain_problems.proposal_time [--trials 100 1000 10000]

Fills an in-memory study with random trials of a plain problem, then asks each sampler, at its defaults, for
`--asks` proposals (Optuna's GP for 3) and tells each result before the next ask. Prints the mean processor
seconds per proposal; the objective takes microseconds. A sampler that took more than `--most` seconds at
one size is left out at the next: Optuna's GP inverts a matrix of all trials.

Costs three minutes. Expected: nars takes less than a second after 10 000 trials.
"""

from __future__ import annotations

import argparse
import sys
import time
import warnings
from collections.abc import Sequence

import optuna
import pandas as pd
from optuna.samplers import RandomSampler
from optuna.study import Study

from experiments.plain_problems.problems import PROBLEMS, Problem
from experiments.plain_problems.run import SAMPLERS

__all__ = ["filled", "seconds"]

_FEW = 3
"""Proposals that the slow sampler is asked for."""


def filled(problem: Problem, trials: int) -> Study:
    """A study with so many finished random trials."""
    study = optuna.create_study(directions=["minimize"] * problem.objectives, sampler=RandomSampler(seed=0))
    study.optimize(problem.objective, n_trials=trials)
    return study


def seconds(study: Study, problem: Problem, sampler: str, asks: int) -> float:
    """Mean seconds per proposal of a sampler that continues a copy of the study."""
    copy = optuna.create_study(directions=study.directions, sampler=SAMPLERS[sampler](0))
    copy.add_trials(study.get_trials(deepcopy=False))
    started = time.process_time()
    copy.optimize(problem.objective, n_trials=asks)
    return (time.process_time() - started) / asks


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m experiments.plain_problems.proposal_time",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--problems", nargs="+", choices=PROBLEMS, default=["hartmann", "conditional"])
    parser.add_argument("--samplers", nargs="+", choices=SAMPLERS, default=["nars", "tpe", "gp"])
    parser.add_argument("--trials", type=int, nargs="+", default=[100, 1000, 10_000], help="sizes")
    parser.add_argument("--asks", type=int, default=64, help="proposals timed (gp: 3)")
    parser.add_argument("--most", type=float, default=1.0, help="seconds; slower samplers stop growing")
    options = parser.parse_args(arguments)
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
    table: dict[str, dict[int, float]] = {}
    for name in options.problems:
        for trials in sorted(options.trials):
            study = filled(PROBLEMS[name], trials)
            for sampler in options.samplers:
                row = table.setdefault(f"{name}, {sampler}", {})
                if max(row.values(), default=0) <= options.most:
                    asks = min(options.asks, _FEW) if sampler in ("gp", "botorch") else options.asks
                    row[trials] = seconds(study, PROBLEMS[name], sampler, asks)
                    print(f"{name}, {sampler} after {trials} trials: {row[trials]:.3f} s", flush=True)
    print(pd.DataFrame(table).T.to_string(float_format=lambda value: f"{value:.3f}"))
    return 0


if __name__ == "__main__":
    sys.exit(main())
