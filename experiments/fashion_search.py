"""Does the search beat random search on real images, in the same wall time?

    python -m experiments.fashion_search [--data-root ../shared/data] [--budget 40] [--images 1000]

Takes a part of Fashion-MNIST (``cls/fashion_mnist_20k.npz`` below the data root: MIT licence, 28x28 grey,
10 classes), searches `micro` with `NarsSampler`, then with random sampling for the same wall time, and
trains both winners three times with fresh seeds. Prints the trials, the predictor's rank correlation on
trials it had not seen, and the winners' test accuracies.

Costs about 20 minutes on two cores. Expected: a test accuracy of about .765 for nars and .753 for random
search. Run folders stay in ``build/fashion``; the same command continues from there.
"""

from __future__ import annotations

import argparse
import sys
import time
from functools import partial
from pathlib import Path

import numpy as np
import torch

from experiments.resumable import workers
from nars.cli import main as nars
from nars.data import load
from nars.device import resolve, seeded
from nars.networks.build import build
from nars.runs.run import open_run
from nars.searching.results import best_candidate, rank_correlation, trials_table, winner
from nars.spec import Candidate
from nars.training.evaluation import evaluate
from nars.training.loop import train

FOLDER = Path("build/fashion")
"""The data set's part and both run folders."""

SEEDS = (101, 102, 103)
"""Seeds of a winner's trainings, which no search used."""


def subset(source: Path, images: int) -> Path:
    """Write a part of the data set to a file: `images` of train, at most 2000 of val, 4000 of test."""
    part = FOLDER / f"fashion_{images}.npz"
    if not part.exists():
        FOLDER.mkdir(parents=True, exist_ok=True)
        with np.load(source) as full:
            counts = {"train": images, "val": min(images, 2000), "test": 4000}
            kept = {
                f"{kind}_{split}": full[f"{kind}_{split}"][:n] for split, n in counts.items() for kind in "xy"
            }
            np.savez_compressed(part, classes=full["classes"], **kept)
    return part


def test_accuracy(candidate: Candidate, data: Path, seed: int) -> float:
    """Test accuracy of one training from scratch."""
    torch.set_num_threads(1)
    images, device, side = load(data), resolve("auto"), candidate.architecture.resolution
    with seeded(seed, device):
        model = build(candidate.architecture, len(images.classes), candidate.recipe)
    trained = train(model, images, candidate.recipe, resolution=side, device=device, seed=seed)
    return evaluate(trained.model, images, "test", resolution=side, device=device).accuracy


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--data-root", type=Path, default=Path("../shared/data"), help="folder of cls/")
    parser.add_argument("--budget", type=int, default=40, help="trials of nars; random search has its time")
    parser.add_argument("--images", type=int, default=1000, help="training images used")
    parser.add_argument("--max-macs", default="1.5M", help="limit of both searches")
    options = parser.parse_args()
    source = options.data_root / "cls" / "fashion_mnist_20k.npz"
    if not source.exists():
        sys.exit(f"skipped: {source} is not there (see --data-root)")
    data = subset(source, options.images)

    common = ["search", "--data", str(data), "--max-macs", options.max_macs]
    started = time.perf_counter()
    folders = {"nars": FOLDER / "nars", "random": FOLDER / "random"}
    if nars([*common, "--budget", str(options.budget), "--run", str(folders["nars"])]):
        sys.exit(2)
    seconds = time.perf_counter() - started
    budget = f"{max(seconds, 60):.0f}s"
    if nars([*common, "--sampler", "random", "--budget", budget, "--run", str(folders["random"])]):
        sys.exit(2)

    for name, folder in folders.items():
        run = open_run(folder)
        study = run.study()
        table = trials_table(study, run.config)
        columns = [c for c in ("trial", "state", "accuracy", "predicted", "macs", "seconds") if c in table]
        print(f"\n{name}\n{table[columns].to_string(index=False)}")
        trust = rank_correlation(study.get_trials(deepcopy=False), "accuracy")
        if trust:
            print(f"rank correlation of predictions: {trust}, of trials not seen")
        first = winner(study, run.config)
        best = best_candidate(run.config, first)
        assert isinstance(best, Candidate)
        with workers(2) as processes:
            accuracies = list(processes.map(partial(test_accuracy, best, data), SEEDS))
        val = f"val {first.mean[0]:.4f} ({len(first.runs)} runs)"
        test = f"test {np.mean(accuracies):.4f} (sd {np.std(accuracies, ddof=1):.4f}, {len(SEEDS)} seeds)"
        print(f"{name}: winner {val}, {test}; {seconds:.0f} s of search")


if __name__ == "__main__":
    main()
