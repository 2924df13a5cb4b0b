"""How much does a finished search save the next one, on other data or within other limits?

    OMP_NUM_THREADS=1 python -m experiments.warm_start [--seeds 20]    # resumable
    python -m experiments.warm_start --print

Searches `micro` on the joint tables (`experiments.joint_table`), with the noise of trainings:
`NarsSampler` trains 64 candidates of the first task, then 64 of the second, without and with the
knowledge from the first (`nars search --warm-start`). Prints the normalized regret on the second task
after 4 to 64 trainings, and the difference for the same seeds with its 95 % interval.

Costs an hour on two cores. Expected: knowledge saves .08 to .14 of regret after 4 trainings, and nothing
measurable from 32 on. A row of ``warm_start.csv`` beside this file is a search.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from scipy.stats import t

from experiments.resumable import work_through
from experiments.search_benchmark.opponents.optuna_samplers import StudyOptimizer
from experiments.search_benchmark.problem import Task
from experiments.search_benchmark.reference import reference
from experiments.search_benchmark.run import CACHE, Searched, search
from experiments.search_benchmark.tasks import DEFAULT_DATA, available, load
from nars.predictors.knowledge import EarlierSearch, Knowledge
from nars.sampling.sampler import NarsSampler
from nars.sampling.strategy import Strategy
from nars.space.genotypes import to_genotypes

RESULTS = Path(__file__).with_suffix(".csv")
"""A row per search of a second task."""

PAIRS = (
    ("micro-digits", "micro-fashion"),
    ("micro-fashion", "micro-digits"),
    ("micro-digits", "micro-digits-2M"),
    ("micro-fashion", "micro-fashion-2M"),
)
"""Pairs of a first and a second task."""

BUDGET = 64
"""Trainings of a search."""

SHOWN = (4, 8, 16, 32, 64)
"""Numbers of trainings after which regrets are kept."""


def _search(task: Task, seed: int, knowledge: Knowledge | None = None) -> Searched:
    def make() -> NarsSampler:
        problem = task.problem
        strategy = Strategy(knowledge=knowledge)
        return NarsSampler(problem.domain, limits=problem.limits, seed=seed, strategy=strategy)

    return search(task, StudyOptimizer(task.problem, seed, make), BUDGET, seed)


def one_seed(first: str, second: str, seed: int) -> list[dict[str, Any]]:
    """Search the first task, then the second without and with its knowledge: two rows."""
    before, task = load(first), load(second)
    found = _search(before, seed)
    domain = task.problem.domain
    earlier = EarlierSearch(
        run=first,
        genotypes=tuple(to_genotypes(domain, found.matrix)),
        scores=tuple(found.observed[:, 0].tolist()),
    )
    rows = []
    for start, knowledge in (("cold", None), ("warm", Knowledge(domain, [earlier], seed))):
        # Another seed: the second search must not begin with the candidates of the first.
        curve = list(_search(task, 1000 + seed, knowledge).incumbents)
        regrets = {count: [value for n, value in curve if n <= count][-1] for count in SHOWN}
        known = reference(task, CACHE)
        regret = {f"regret_{count}": round(known.regret(value), 5) for count, value in regrets.items()}
        rows.append({"first": first, "second": second, "seed": seed, "start": start, **regret})
    return rows


def show() -> None:
    if not RESULTS.exists():
        sys.exit(f"nothing to print: {RESULTS.name} is made without --print")
    table = pd.read_csv(RESULTS)
    columns = [f"regret_{count}" for count in SHOWN]
    for first, second in PAIRS:
        mine = table[(table["first"] == first) & (table["second"] == second)]
        wide = mine.pivot_table(index="seed", columns="start", values=columns).dropna()
        n = len(wide)
        if n < 2:
            continue
        print(f"\n{first}, then {second}: normalized regret after {SHOWN} trainings, {n} seeds")
        for start in ("cold", "warm"):
            print(f"  {start}: {', '.join(f'{wide[name][start].mean():.3f}' for name in columns)}")
        saved = [wide[name]["cold"] - wide[name]["warm"] for name in columns]
        half = t.ppf(0.975, n - 1) / np.sqrt(n)
        print(
            f"  saved: {', '.join(f'{gain.mean():+.3f} ± {half * gain.std(ddof=1):.3f}' for gain in saved)}"
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--seeds", type=int, default=20, help="seeds 0 .. N-1")
    parser.add_argument("--processes", type=int, default=2, help="searches at once")
    parser.add_argument("--print", dest="only_print", action="store_true", help="only print what is on file")
    options = parser.parse_args()
    if not options.only_print:
        found, missing = available([name for pair in PAIRS for name in pair], DEFAULT_DATA)
        for reason in sorted(set(missing.values())):
            print(f"skipped: {reason}")
        for name in set(found):
            reference(load(name), CACHE)  # once, not in every process
        pairs = [pair for pair in PAIRS if {*pair} <= {*found}]
        jobs = [(*pair, seed) for seed in range(options.seeds) for pair in pairs]
        work_through(RESULTS, ("first", "second", "seed"), jobs, one_seed, options.processes)
    show()


if __name__ == "__main__":
    main()
