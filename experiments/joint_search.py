"""At the same budget, is it better to search architecture and recipe together or only one of the two?

    python -m experiments.joint_search [--data-root ../shared/data] [--budget 24] [--searches 3]
    python -m experiments.joint_search --print

Searches `micro` on 1000 images of Fashion-MNIST within 1.5 M MACs. `architecture` holds the default recipe
with 8 epochs; `recipe` holds an even network with the MACs of the limit at 24 pixels; `joint` holds nothing.
Searches of a kind differ only by their seed. Each winner is trained three times with fresh seeds.

Costs an hour on two cores. Expected test accuracies: `joint` .760, `recipe` .744, `architecture` .733. A
row of ``joint_search.csv`` beside this file is a search with the test accuracies of its winner. Run
folders stay in ``build/joint_search``; the same command continues from there.
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

from experiments.fashion_search import SEEDS, subset, test_accuracy
from experiments.resumable import workers
from nars.cli import main as nars
from nars.runs.run import open_run
from nars.searching.results import best_candidate, winner
from nars.space.cost import count
from nars.spec import Architecture, Block, Candidate, Recipe

RESULTS = Path(__file__).with_suffix(".csv")
"""A row per search."""

FOLDER = Path("build/joint_search")
"""Run folders, and the files with the parts that are held."""

MODES = ("joint", "architecture", "recipe")
"""The kinds of searches."""

IMAGES, MAX_MACS, RESOLUTION = 1000, 1_500_000, 24
"""Training images, the limit, and the side in pixels of the network by hand."""


def held() -> dict[str, list[str]]:
    """Write the files with the parts that are held; return each mode's options that name them."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    recipe = Recipe(epochs=8)
    network = by_hand()
    (FOLDER / "recipe.yaml").write_text(recipe.to_yaml())
    (FOLDER / "by_hand.yaml").write_text(Candidate(architecture=network, recipe=recipe).to_yaml())
    return {
        "joint": [],
        "architecture": ["--fix", f"recipe={FOLDER / 'recipe.yaml'}"],
        "recipe": ["--fix", f"arch={FOLDER / 'by_hand.yaml'}"],
    }


def by_hand() -> Architecture:
    """The network of two blocks per stage, kernel 3 and expansion 3, whose MACs are closest to the limit."""
    networks = [_even(scale) for scale in np.linspace(0.4, 2.0, 161)]
    return min(networks, key=lambda network: abs(count(network, num_classes=10).macs - MAX_MACS))


def _even(scale: float) -> Architecture:
    def stage(channels: int, stride: int, expansion: int = 3) -> Block:
        width = max(4, round(channels * scale / 4) * 4)
        return Block(op="mbconv", kernel=3, expansion=expansion, repeats=2, channels=width, stride=stride)

    return Architecture(
        name="by_hand",
        resolution=RESOLUTION,
        stages=[
            [Block(op="conv", kernel=3, channels=12)],
            [stage(12, 1, expansion=1)],
            [stage(20, 2)],
            [stage(32, 2)],
            [stage(48, 2), stage(64, 1)],
            [stage(96, 2)],
            [Block(op="mbpool", channels=256, expansion=3)],
        ],
    )


def search(mode: str, seed: int, budget: int, data: Path) -> dict[str, Any]:
    """Search in one of `MODES` and train the winner; return the row."""
    folder = FOLDER / f"{mode}-{budget}-{seed}"
    # The network by hand is the even one closest to the limit, and may be above it.
    limit = [] if mode == "recipe" else ["--max-macs", str(MAX_MACS)]
    command = ["search", "--data", str(data), "--budget", str(budget), "--seed", str(seed), *limit]
    if nars([*command, *held()[mode], "--run", str(folder)]):
        sys.exit(2)
    run = open_run(folder)
    first = winner(run.study(), run.config)
    best = best_candidate(run.config, first)
    assert isinstance(best, Candidate)
    with workers(2) as processes:
        accuracies = list(processes.map(partial(test_accuracy, best, data), SEEDS))
    row: dict[str, Any] = {"mode": mode, "seed": seed, "budget": budget, "val": round(first.mean[0], 4)}
    return row | {f"test_{i}": round(accuracy, 4) for i, accuracy in enumerate(accuracies)}


def search_all(data: Path, searches: int, budget: int) -> None:
    """Search what `RESULTS` has no row of."""
    rows: list[Any] = pd.read_csv(RESULTS).to_dict("records") if RESULTS.exists() else []
    done = {(row["mode"], row["seed"], row["budget"]) for row in rows}
    for seed in range(searches):
        for mode in MODES:
            if (mode, seed, budget) not in done:
                rows.append(search(mode, seed, budget, data))
                print(rows[-1], flush=True)
                pd.DataFrame(rows).to_csv(RESULTS, index=False)


def show() -> None:
    if not RESULTS.exists():
        sys.exit(f"nothing to print: {RESULTS.name} is made without --print")
    table = pd.read_csv(RESULTS)
    table["test"] = table[[name for name in table if str(name).startswith("test_")]].mean(axis=1)
    for (budget, mode), rows in table.groupby(["budget", "mode"]):
        n, sd = len(rows), float(rows["test"].std(ddof=1))
        half = float(t.ppf(0.975, n - 1)) * sd / np.sqrt(n) if n > 1 else np.nan
        print(f"{mode}, {budget} trials, {n} searches: test {rows['test'].mean():.4f} ± {half:.4f} (95 %)")


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--data-root", type=Path, default=Path("../shared/data"), help="folder of cls/")
    parser.add_argument("--budget", type=int, default=24, help="trials of a search")
    parser.add_argument("--searches", type=int, default=3, help="searches of each kind")
    parser.add_argument("--print", dest="only_print", action="store_true", help="only print what is on file")
    options = parser.parse_args()
    source = options.data_root / "cls" / "fashion_mnist_20k.npz"
    if not options.only_print:
        if not source.exists():
            sys.exit(f"skipped: {source} is not there (see --data-root)")
        search_all(subset(source, IMAGES), options.searches, options.budget)
    show()


if __name__ == "__main__":
    main()
