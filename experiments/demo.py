"""The last part of `make demo`: compares the searched winner with EfficientNet-Lite0 within the same limit.

    python experiments/demo.py demo

Reads the run folder ``demo/search``. The winner, with its recipe, and EfficientNet-Lite0 at the largest
resolution that the limit allows, with the recipe of the reference, are trained on the photos of `clothing`
for the same number of epochs, with two seeds each; the winner also from random weights. Costs about three
minutes on one core. Expected: the winner at least equal to Lite0, and both far ahead of random weights.

Leaves ``history.png`` and ``accuracy_macs.png`` in ``demo/``.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import optuna
import torch
from rich.console import Console
from rich.table import Table

from nars.parents.sources import parent
from nars.report.plots import Point, front, history, save_png
from nars.runs.run import Run, open_run
from nars.space.cost import count
from nars.spec import Architecture, Candidate
from nars.tasks.base import Task
from nars.tasks.reference import Reference
from search_spaces import published

SEEDS = (0, 1)
"""Seeds of the trainings that are compared."""

EPOCHS = 6
"""Epochs of each of them."""


def stock(limit: float, num_classes: int) -> Architecture:
    """EfficientNet-Lite0 at the largest resolution, in steps of 8 pixels, that a limit on MACs allows."""
    lite = published("efficientnet_lite0")
    networks = [lite.replace(name=f"lite0_{side}", resolution=side) for side in range(224, 24, -8)]
    return next(network for network in networks if count(network, num_classes=num_classes).macs <= limit)


def contestants(run: Run) -> Mapping[str, tuple[Candidate, Task]]:
    """The networks that are compared, by name, each with the task that trains it."""
    config = run.config
    task, scratch = config.open_task(), config.replace(init="none", reference=None).open_task()
    reference = parent(str(run.folder / "weights" / "reference.pt"))
    assert reference is not None
    assert isinstance(config.reference, Reference)
    winner = Candidate.load(run.folder / "best.yaml")
    winner = winner.replace(recipe=winner.recipe.replace(epochs=EPOCHS))
    alone = winner.replace(recipe=winner.recipe.replace(distill=0.0))
    lite = Candidate(
        architecture=stock(config.limits["macs"], config.space.num_classes),
        recipe=config.reference.recipe.replace(epochs=EPOCHS),
    )
    return {
        "searched": (winner, task.inheriting(reference)),
        "EfficientNet-Lite0": (lite, task),
        "searched, from random weights": (alone, scratch),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("folder", type=Path, help="the folder of the demo")
    folder = parser.parse_args().folder

    torch.set_num_threads(1)
    run = open_run(folder / "search")
    title = f"clothing, 100 test photos, {EPOCHS} epochs, {len(SEEDS)} seeds"
    table = Table("", "test accuracy", "pixels", "MACs", "params", "seconds", title=title)
    points = []
    for name, (candidate, task) in contestants(run).items():
        outcomes = [task.run(candidate, seed=seed) for seed in SEEDS]
        accuracies = [dict(outcome.test())["accuracy"] for outcome in outcomes if outcome.test is not None]
        cost = count(candidate.architecture, num_classes=run.config.space.num_classes)
        points.append(Point(f"{name}, test", cost.macs, float(np.mean(accuracies))))
        table.add_row(
            name,
            f"{np.mean(accuracies):.3f} ({min(accuracies):.3f} to {max(accuracies):.3f})",
            str(candidate.architecture.resolution),
            f"{cost.macs / 1e6:.2f} M",
            f"{cost.params / 1e3:.0f} k",
            f"{np.mean([outcome.seconds for outcome in outcomes]):.0f}",
        )
    Console().print(table)
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    trials = run.study().get_trials(deepcopy=False)
    save_png(history(trials), folder / "history.png")
    save_png(front(trials, others=points), folder / "accuracy_macs.png")
    print(f"pictures: {folder}/history.png, {folder}/accuracy_macs.png; report: {folder}/search/report.html")


if __name__ == "__main__":
    main()
