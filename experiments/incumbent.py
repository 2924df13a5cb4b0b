"""If trainings are noisy, which of the candidates that a search trained is its best?

    OMP_NUM_THREADS=1 python -m experiments.incumbent [--data-root ../shared/data] [--seeds 20]    # resumable
    python -m experiments.incumbent --print

Runs searches by `NarsSampler` on the noisy tasks of the search benchmark, 256 trainings each. Three rules
choose the best candidate trained so far:

- *observed*: the best observed score, as in the benchmark;
- *predicted*: the best prediction of the sampler's Gaussian process, fitted to all scores so far;
- *told*: the best true score, which no other rule can beat.

Prints the mean normalized regret of their choices after 16 to 256 trainings, what *predicted* saves over
*observed* in the same searches with its 95 % interval, and the median number of trainings until random
search's expected best of 10 000 is equalled, checked every four trainings.

Costs 20 minutes on two cores. Expected: after 256 trainings *predicted* saves .025 of regret if a
training has noise of 0.3 points, and loses .017 on `macro`. A row of ``incumbent.csv`` beside this file
is one search and rule.
"""

from __future__ import annotations

import argparse
import sys
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from scipy.stats import t

from experiments.resumable import work_through
from experiments.search_benchmark.opponents import OPPONENTS
from experiments.search_benchmark.problem import Array
from experiments.search_benchmark.reference import reference
from experiments.search_benchmark.run import CACHE, Searched, search
from experiments.search_benchmark.tasks import DEFAULT_DATA, available, load
from nars.predictors.gaussian import GaussianPredictor
from nars.space.genotypes import Domain

RESULTS = Path(__file__).with_suffix(".csv")
"""A row per task, seed and choice."""

TASKS = (
    "ofa-imagenet-280M-n0.1",
    "ofa-imagenet-230M-n0.1",
    "ofa-imagenet-280M-n0.3",
    "ofa-imagenet-230M-n0.3",
    "macro",
    "micro-digits",
    "micro-fashion",
)
"""Tasks of the search benchmark whose trainings have noise."""

CHOICES = ("observed", "predicted", "told")
"""The rules that choose."""

SHOWN = (16, 32, 64, 128, 256)
"""Numbers of trainings after which regrets are kept."""

EVERY = 4
"""Trainings between two choices."""

TARGET = "10000"
"""Random candidates whose expected best is to be equalled."""


def one_search(name: str, seed: int, data_root: Path) -> list[dict[str, Any]]:
    """Search once; return a row for each of `CHOICES`."""
    task = load(name, data_root)
    known = reference(task, CACHE)
    found = search(task, OPPONENTS["nars"].make(task.problem, max(SHOWN), seed), max(SHOWN), seed)
    looked = range(EVERY, max(SHOWN) + 1, EVERY)
    chosen = {count: _chosen(task.problem.domain, found, count, seed) for count in looked}
    rows = []
    for at, choice in enumerate(CHOICES):
        reached = [count for count in looked if chosen[count][at] >= known.random_best_of[TARGET]]
        regret = {f"regret_{count}": round(known.regret(chosen[count][at]), 5) for count in SHOWN}
        rows.append(
            {"task": name, "seed": seed, "choice": choice, **regret, "reached": min(reached, default=np.inf)}
        )
    return rows


def _chosen(domain: Domain, found: Searched, count: int, seed: int) -> Array:
    """True scores [3] of the candidates that `CHOICES` take for the best of the first `count`."""
    matrix, observed, true = found.matrix[:count], found.observed[:count, 0], found.true[:count]
    predicted = GaussianPredictor(domain, seed).fit(matrix, observed).predict(matrix)
    return np.array([true[np.argmax(scores)] for scores in (observed, predicted, true)])


def show() -> None:
    if not RESULTS.exists():
        sys.exit(f"nothing to print: {RESULTS.name} is made without --print")
    table = pd.read_csv(RESULTS)
    columns = [f"regret_{count}" for count in SHOWN]
    for name in TASKS:
        mine = table[table["task"] == name].set_index(["choice", "seed"])
        if mine.empty:
            continue
        n = mine.index.get_level_values("seed").nunique()
        print(f"\n{name}, {n} seeds: regret after {SHOWN} trainings; trainings to the best of {TARGET}")
        for choice in CHOICES:
            means = ", ".join(f"{mine.xs(choice)[column].mean():.3f}" for column in columns)
            print(f"  {choice}: {means}; {mine.xs(choice)['reached'].median():g}")
        saved = pd.DataFrame(mine.xs("observed")[columns] - mine.xs("predicted")[columns])
        half = t.ppf(0.975, n - 1) * saved.std(ddof=1) / np.sqrt(n)
        print("  saved by prediction:", ", ".join(f"{saved[c].mean():+.3f} ± {half[c]:.3f}" for c in columns))


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--data-root", type=Path, default=DEFAULT_DATA, help="folder of nas/")
    parser.add_argument("--seeds", type=int, default=20, help="seeds 0 .. N-1")
    parser.add_argument("--processes", type=int, default=2, help="searches at once")
    parser.add_argument("--print", dest="only_print", action="store_true", help="only print what is on file")
    options = parser.parse_args()
    if not options.only_print:
        names, missing = available(list(TASKS), options.data_root)
        for name, reason in missing.items():
            print(f"skipped {name}: {reason}")
        jobs = [(name, seed) for seed in range(options.seeds) for name in names]
        work = partial(one_search, data_root=options.data_root)
        work_through(RESULTS, ("task", "seed"), jobs, work, options.processes)
    show()


if __name__ == "__main__":
    main()
