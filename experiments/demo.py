"""The last part of `make demo`: compares the searched winner with a network made by hand.

    python experiments/demo.py demo

Reads the run folder ``demo/search`` and the weights ``demo/best.pt``, trains the winner and a baseline
from scratch with two seeds each, and prints one table. Costs about a minute on one core. Expected: a test
accuracy of about 0.98 for both, because digits are nearly solved.

The baseline has the winner's resolution, MACs and number of epochs; it is an even network (two blocks per
stage, kernel 3, expansion 3) with nars's default recipe. Leaves ``history.png`` and
``accuracy_macs.png`` in ``demo/``.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import numpy as np
import optuna
import torch
from rich.console import Console
from rich.table import Table

from nars.data import load
from nars.device import resolve, seeded
from nars.networks.build import build
from nars.networks.weights import load_weights
from nars.report.plots import Point, front, history, save_png
from nars.runs.run import open_run
from nars.space.cost import count
from nars.spec import Architecture, Candidate, Recipe
from nars.training.evaluation import evaluate
from nars.training.loop import train

SEEDS = (0, 1)
"""Seeds of the trainings that are compared."""


def baseline(resolution: int, macs: int, num_classes: int) -> Architecture:
    """The even network whose MACs are closest to `macs`."""
    networks = [_even(resolution, scale) for scale in np.linspace(0.4, 2.0, 161)]
    return min(networks, key=lambda network: abs(count(network, num_classes=num_classes).macs - macs))


def _even(resolution: int, scale: float) -> Architecture:
    def stage(channels: int, stride: int) -> dict[str, object]:
        width = max(4, round(channels * scale / 4) * 4)
        fields = {"op": "mbconv", "kernel": 3, "expansion": 3, "repeats": 2}
        return {**fields, "channels": width, "stride": stride}

    return Architecture(
        name="by_hand",
        resolution=resolution,
        stages=[
            [{"op": "conv", "kernel": 3, "channels": 12}],
            [{**stage(12, 1), "expansion": 1}],
            [stage(20, 2)],
            [stage(32, 2)],
            [stage(48, 2), stage(64, 1)],
            [stage(96, 2)],
            [{"op": "mbpool", "channels": 256, "expansion": 3}],
        ],
    )


def measure(candidate: Candidate, seed: int) -> tuple[float, float]:
    """Train from scratch on `digits`; return the test accuracy and the seconds of the training."""
    data, device = load("digits"), resolve("auto")
    with seeded(seed, device):
        model = build(candidate.architecture, len(data.classes), candidate.recipe)
    started, side = time.perf_counter(), candidate.architecture.resolution
    trained = train(model, data, candidate.recipe, resolution=side, device=device, seed=seed)
    metrics = evaluate(trained.model, data, "test", resolution=side, device=device)
    return metrics.accuracy, time.perf_counter() - started


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("folder", type=Path, help="the folder of the demo")
    folder = parser.parse_args().folder

    run, trained = open_run(folder / "search"), load_weights(folder / "best.pt")
    winner, classes = trained.candidate, len(trained.classes)
    macs = count(winner.architecture, num_classes=classes).macs
    by_hand = Candidate(
        architecture=baseline(winner.architecture.resolution, macs, classes),
        recipe=Recipe(epochs=winner.recipe.epochs),
    )
    table = Table("", "test accuracy", "MACs", "params", "seconds", title="digits, 359 test images")
    points = []
    pairs = [(candidate, seed) for candidate in (winner, by_hand) for seed in SEEDS]
    torch.set_num_threads(1)
    measured = [measure(candidate, seed) for candidate, seed in pairs]
    for name, candidate in (("searched", winner), ("by hand", by_hand)):
        results = [result for pair, result in zip(pairs, measured, strict=True) if pair[0] is candidate]
        accuracies, seconds = zip(*results, strict=True)
        cost = count(candidate.architecture, num_classes=classes)
        points.append(Point(f"{name}, test", cost.macs, float(np.mean(accuracies))))
        table.add_row(
            name,
            f"{np.mean(accuracies):.4f} ({min(accuracies):.4f} to {max(accuracies):.4f})",
            f"{cost.macs / 1e6:.2f} M",
            f"{cost.params / 1e3:.0f} k",
            f"{np.mean(seconds):.0f}",
        )
    Console().print(table)
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    trials = run.study().get_trials(deepcopy=False)
    save_png(history(trials), folder / "history.png")
    save_png(front(trials, others=points), folder / "accuracy_macs.png")
    print(f"pictures: {folder}/history.png, {folder}/accuracy_macs.png; report: {folder}/search/report.html")


if __name__ == "__main__":
    main()
