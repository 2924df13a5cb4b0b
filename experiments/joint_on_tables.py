"""On the joint tables: search architecture and recipe together, only one of the two, or one after the other?

    OMP_NUM_THREADS=1 python -m experiments.joint_on_tables [--seeds 20]    # resumable
    python -m experiments.joint_on_tables --print

`experiments.joint_search` asks the same question with real trainings and few searches. Here the
surrogates of `experiments.joint_table` replace trainings, with their noise, at most 2 M MACs and 64
trainings:

- `joint` searches everything.
- `architecture` holds the default recipe with 8 epochs, the mean of the space; `architecture, 12 epochs`
  holds it with 12, the most of the space.
- `recipe` holds the widest even network below the limit (`by_hand`).
- `in turn` searches the architecture with the default recipe for half of the budget, then the recipe of
  the best architecture.

Prints the true accuracy in per cent of the candidate with the best observed accuracy, and the lead of
`joint` over the others with the same seeds, with 95 % intervals.

Costs an hour on two cores. Expected after 64 trainings: on Fashion-MNIST `joint` leads by .5 to 2.0
points; on digits `architecture, 12 epochs` leads `joint` by .14. A row of ``joint_on_tables.csv`` beside
this file is a search.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from scipy.stats import t

from experiments.joint_table import table_space
from experiments.resumable import work_through
from experiments.search_benchmark.opponents import OPPONENTS
from experiments.search_benchmark.problem import Problem, Task
from experiments.search_benchmark.run import Searched, search
from experiments.search_benchmark.tasks import DEFAULT_DATA, available, load
from nars.space import Space
from nars.space.genotypes import Genotype, Matrix, from_genotypes, to_genotypes
from nars.spec import Candidate, Recipe

RESULTS = Path(__file__).with_suffix(".csv")
"""A row per search."""

TASKS = ("micro-digits-2M", "micro-fashion-2M")
"""Tasks of the search benchmark."""

MODES = ("joint", "architecture", "architecture, 12 epochs", "recipe", "in turn")
"""The ways to search that are compared."""

BUDGET = 64
"""Trainings of a search."""

SHOWN = (8, 16, 32, 64)
"""Numbers of trainings after which accuracies are kept."""

BY_HAND: Mapping[str, Any] = {"resolution": 24, "kernel": 3, "expansion": 3, "depth": 2, "se": "none"}
"""Part of a dimension's name -> its value in the even network."""


def by_hand(space: Space, max_macs: float) -> Genotype:
    """Genotype of the widest even network within `max_macs`, with the default recipe."""
    unit = np.repeat(np.linspace(0, 1, 101)[:, None], len(space.distributions), axis=1)
    recipe = {f"recipe.{key}": getattr(Recipe(epochs=8), key) for key in space.recipe}
    even = [
        {name: _even(name, BY_HAND, width[name]) for name in space.architecture_names} | recipe
        for width in to_genotypes(space, space.dimensions.from_unit(unit))
    ]
    macs = space.statistics(from_genotypes(space, even))["macs"]
    return even[int(np.argmax(np.where(macs <= max_macs, macs, -np.inf)))]


def _even(name: str, values: Mapping[str, Any], width: Any) -> Any:
    """The value of an architecture dimension such as ``stage2.kernel.first``."""
    return next((values[part] for part in name.split(".") if part in values), width)


def search_part(task: Task, held: str, candidate: Candidate, budget: int, seed: int) -> Searched:
    """Hold the architecture or the recipe of `candidate`, as ``--fix`` does, and search the rest.

    `held` names the part. The result has the dimensions of the whole space.
    """
    whole = table_space()
    space = whole.fix(**{held: getattr(candidate, held)})
    values = whole.encode(candidate)

    def full(matrix: Matrix) -> Matrix:
        return from_genotypes(whole, [values | genotype for genotype in to_genotypes(space, matrix)])

    part = replace(
        task,
        problem=Problem(space, task.problem.limits),
        truth=lambda matrix: task.truth(full(matrix)),
        train=lambda matrix, rng: task.train(full(matrix), rng),
    )
    found = search(part, OPPONENTS["nars"].make(part.problem, budget, seed), budget, seed)
    return replace(found, matrix=full(found.matrix))


def find(task: Task, mode: str, seed: int) -> Searched:
    """Search in one of `MODES`."""
    space = table_space()
    first = space.decode(by_hand(space, task.problem.limits["macs"]))
    longer = Candidate(architecture=first.architecture, recipe=first.recipe.replace(epochs=12))
    match mode:
        case "joint":
            return search(task, OPPONENTS["nars"].make(task.problem, BUDGET, seed), BUDGET, seed)
        case "architecture":
            return search_part(task, "recipe", first, BUDGET, seed)
        case "architecture, 12 epochs":
            return search_part(task, "recipe", longer, BUDGET, seed)
        case "recipe":
            return search_part(task, "architecture", first, BUDGET, seed)
    assert mode == "in turn"
    found = search_part(task, "recipe", first, BUDGET // 2, seed)
    best = int(found.observed[:, 0].argmax())
    (winner,) = to_genotypes(space, found.matrix[[best]])
    return found.then(search_part(task, "architecture", space.decode(winner), BUDGET // 2, 1000 + seed))


def one_search(name: str, mode: str, seed: int) -> list[dict[str, Any]]:
    """Search once; return its row."""
    curve = list(find(load(name), mode, seed).incumbents)
    reached = {f"at_{count}": round([value for n, value in curve if n <= count][-1], 4) for count in SHOWN}
    return [{"task": name, "mode": mode, "seed": seed, **reached}]


def show() -> None:
    if not RESULTS.exists():
        sys.exit(f"nothing to print: {RESULTS.name} is made without --print")
    table, columns = pd.read_csv(RESULTS), [f"at_{count}" for count in SHOWN]
    for name, rows in table.groupby("task"):
        wide = rows.pivot_table(index="seed", columns="mode", values=columns).dropna()
        n = len(wide)
        print(f"\n{name}: accuracy after {SHOWN} trainings, {n} seeds; lead of joint (95 %)")
        for mode in MODES:
            ahead = [wide[column]["joint"] - wide[column][mode] for column in columns]
            half = t.ppf(0.975, n - 1) / np.sqrt(n) if n > 1 else np.nan
            reached = ", ".join(f"{wide[column][mode].mean():.2f}" for column in columns)
            ahead_text = ", ".join(f"{lead.mean():+.2f} ± {half * lead.std(ddof=1):.2f}" for lead in ahead)
            print(f"  {mode}: {reached}{'' if mode == 'joint' else f'; {ahead_text}'}")


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--only", nargs="+", choices=TASKS, default=TASKS, help="tasks")
    parser.add_argument("--seeds", type=int, default=20, help="seeds 0 .. N-1")
    parser.add_argument("--processes", type=int, default=2, help="searches at once")
    parser.add_argument("--print", dest="only_print", action="store_true", help="only print what is on file")
    options = parser.parse_args()
    if not options.only_print:
        found, missing = available(list(options.only), DEFAULT_DATA)
        for reason in missing.values():
            print(f"skipped: {reason}")
        jobs = [(name, mode, seed) for seed in range(options.seeds) for name in found for mode in MODES]
        work_through(RESULTS, ("task", "mode", "seed"), jobs, one_search, options.processes)
    show()


if __name__ == "__main__":
    main()
