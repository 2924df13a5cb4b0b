"""Does the ranking of architectures change with the recipe that trains them?

    OMP_NUM_THREADS=1 python -m experiments.recipe_rankings --data-root ../shared/data    # resumable
    python -m experiments.recipe_rankings --print

Trains 40 random architectures of `micro` on 1000 images of Fashion-MNIST by three recipes, with two seeds
each: `short` (4 epochs of SGD), `long` (12 epochs of SGD with mixup, label smoothing, dropout, stochastic
depth and averaged weights) and `adamw` (8 epochs). Prints Spearman's rank correlation between recipes and
between the two seeds of a recipe, which is the ceiling that noise leaves, with 95 % intervals by
bootstrap over architectures. Then prints what the best architecture of one recipe loses to the best of
another if both are trained by the other.

Costs an hour on two cores. Expected: correlations of .37 to .52 between recipes and of .30 to .54 between
seeds. Every training is a row of ``recipe_rankings.csv`` beside this file.
"""

from __future__ import annotations

import argparse
import sys
from functools import partial
from itertools import combinations, permutations
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from experiments.joint_table import TABLES, table_space
from experiments.joint_table.train import candidates, images
from experiments.resumable import work_through
from nars.searching.ranking import spearman
from nars.space.genotypes import to_genotypes
from nars.spec import Candidate, Recipe

RESULTS = Path(__file__).with_suffix(".csv")
"""A row per training."""

TABLE = "micro-fashion"
"""The joint table whose images and architectures are used."""

ARCHITECTURES, SEEDS = 40, (0, 1)
"""Architectures, and seeds of the trainings of each with each recipe."""

RECIPES = {
    "short": Recipe(optimizer="sgd", lr=0.2, epochs=4),
    "long": Recipe(
        optimizer="sgd",
        lr=0.2,
        epochs=12,
        mixup=0.2,
        label_smoothing=0.1,
        dropout=0.2,
        stochastic_depth=0.1,
        ema=True,
        ema_decay=0.98,
    ),
    "adamw": Recipe(optimizer="adamw", lr=0.004, epochs=8, weight_decay=1e-3),
}
"""The recipes that are compared."""


def train_one(index: int, recipe: str, seed: int, data_root: Path) -> list[dict[str, Any]]:
    """Train one architecture by one of `RECIPES`; return its row. A failure has the accuracy of guessing."""
    import torch

    from nars.errors import TrialError
    from nars.tasks.classification import Classification

    torch.set_num_threads(1)
    (genotype,) = to_genotypes(table_space(), candidates(index + 1)[-1:])
    architecture = table_space().decode(genotype).architecture
    task = Classification(images(TABLE, data_root), torch.device("cpu"))
    try:
        accuracy = task.run(Candidate(architecture=architecture, recipe=RECIPES[recipe]), seed=seed).score
    except TrialError as error:
        print(f"{index} {recipe}: {error}", file=sys.stderr)
        accuracy = 1 / len(task.data.classes)
    return [{"architecture": index, "recipe": recipe, "seed": seed, "accuracy": round(accuracy, 6)}]


def show() -> None:
    if not RESULTS.exists():
        sys.exit(f"nothing to print: {RESULTS.name} is made without --print")
    table = pd.read_csv(RESULTS).pivot_table(
        index="architecture", columns=["recipe", "seed"], values="accuracy"
    )
    table = table.dropna()
    means = {name: table[[name]].mean(axis="columns").to_numpy() for name in RECIPES}
    print(f"{len(table)} architectures; accuracy: mean and standard deviation over them")
    for name, accuracy in means.items():
        print(f"  {name}: {accuracy.mean():.3f}, {accuracy.std(ddof=1):.3f}")
    print("rank correlation between two seeds of a recipe, and between recipes (two seeds each; one each)")
    for name in RECIPES:
        first, second = (table[name][seed].to_numpy() for seed in SEEDS)
        print(f"  {name}: {spearman(first, second)}")
    for one, other in combinations(RECIPES, 2):
        single = [table[one][a].corr(table[other][b], method="spearman") for a in SEEDS for b in SEEDS]
        print(f"  {one} and {other}: {spearman(means[one], means[other])}; {np.mean(single):.2f}")
    print("lost by choosing the architecture with another recipe (accuracy)")
    for chosen, used in permutations(RECIPES, 2):
        loss = means[used].max() - means[used][np.argmax(means[chosen])]
        print(f"  best of {chosen}, trained by {used}: {loss:.3f}")


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--data-root", type=Path, default=Path("../shared/data"), help="folder of cls/")
    parser.add_argument("--processes", type=int, default=2, help="trainings at once")
    parser.add_argument("--print", dest="only_print", action="store_true", help="only print what is on file")
    options = parser.parse_args()
    source = options.data_root / TABLES[TABLE].source
    if not options.only_print:
        if not source.exists():
            sys.exit(f"skipped: {source} is not there (see --data-root)")
        jobs = [(index, name, seed) for seed in SEEDS for index in range(ARCHITECTURES) for name in RECIPES]
        train = partial(train_one, data_root=options.data_root)
        work_through(RESULTS, ("architecture", "recipe", "seed"), jobs, train, options.processes)
    show()


if __name__ == "__main__":
    main()
