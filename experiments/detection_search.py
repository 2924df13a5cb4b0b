"""Does searching for AP find a better detector than searching for accuracy does?

    OMP_NUM_THREADS=1 python -m experiments.detection_search [--budget 12] [--epochs 8] [--seeds 2]

Searches `micro` within 1 M MACs twice: for the AP of a short detector training on `digit-scenes`, and for
the accuracy on `digits`, the single digits that the scenes are made of. Both winning architectures are
then trained as detectors in the same way, from scratch, with the detector's own recipe. Prints AP, cost
and seconds of each.

Costs about 45 minutes on two cores. Expected: an AP of .46 for the architecture searched for accuracy and
of .42 for the one searched for AP, at a third of the parameters. Run folders stay in
``build/detection_search``; the same command continues from there.
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

import numpy as np
import torch

from detector.data.check import usable
from detector.model.cost import DetectorCost, count
from detector.space.candidate import DetectorCandidate
from detector.space.planned import plan_candidate
from detector.training.hyperparameters import Training
from detector.training.loop import train
from detector.training.plan import plan
from experiments.resumable import workers
from nars.cli import main as nars
from nars.runs.run import open_run
from nars.searching.results import best_candidate, trials_table, winner
from nars.spec import Candidate, Trainable

FOLDER = Path("build/detection_search")
"""Run folders of both searches."""

SCENES = "digit-scenes"
"""The detection data set, embedded."""

CPU = torch.device("cpu")
"""Everything runs here, so that times compare."""


def searched(name: str, *options: str) -> Trainable:
    """Start, continue or just read a search; return its winner."""
    folder, started = FOLDER / name, time.perf_counter()
    if nars(["search", "--max-macs", "1M", "--run", str(folder), *options]):
        sys.exit(2)
    run = open_run(folder)
    table = trials_table(run.study(), run.config)
    metric = run.config.objectives[0]
    print(f"\n{name}: {time.perf_counter() - started:.0f} s")
    print(table[["trial", "state", metric, "macs", "seconds"]].to_string(index=False), flush=True)
    return best_candidate(run.config, winner(run.study(), run.config))


def measure(candidate: Trainable, epochs: int, seed: int) -> tuple[float, float, float, DetectorCost]:
    """AP, AP50, seconds and cost of the architecture as a detector, trained by the detector's recipe."""
    torch.set_num_threads(1)
    data = usable(SCENES, drop_bad=False)
    if isinstance(candidate, DetectorCandidate):
        planned = plan_candidate(candidate, data, CPU)
    else:
        assert isinstance(candidate, Candidate)
        planned = plan(candidate.architecture, data, CPU)
    model = planned.build(len(data.classes), seed)
    cost = count(model)
    trained = train(model, data, Training(epochs=epochs, flip=0.0), device=CPU, seed=seed)
    scores = trained.evaluation.boxes
    return scores.ap, scores.ap50, trained.history[-1].seconds, cost


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--budget", default="12", help="budget of the search for AP")
    parser.add_argument("--epochs", type=int, default=8, help="epochs of the trainings that are compared")
    parser.add_argument("--seeds", type=int, default=2, help="trainings of each winner")
    options = parser.parse_args()

    winners = {
        "accuracy": searched("accuracy", "--budget", "16"),
        "AP": searched("ap", "--task", "detection", "--data", SCENES, "--budget", options.budget),
    }
    jobs = [(name, seed) for seed in range(options.seeds) for name in winners]
    with workers(2) as processes:
        futures = {job: processes.submit(measure, winners[job[0]], options.epochs, job[1]) for job in jobs}
        results = {job: future.result() for job, future in futures.items()}
    print(f"\nequal training: {options.epochs} epochs of {SCENES}, {options.seeds} seeds")
    for name in winners:
        trainings = [results[name, seed] for seed in range(options.seeds)]
        ap, ap50, seconds = np.array([training[:3] for training in trainings]).T
        cost = trainings[0][3]
        print(
            f"searched for {name}: AP {ap.mean():.3f} ({ap.min():.3f} to {ap.max():.3f}), "
            f"AP50 {ap50.mean():.3f}, {cost.macs / 1e6:.1f} M MACs at {cost.side}x{cost.longer} pixels, "
            f"{cost.params / 1e3:.0f} k parameters, {seconds.mean():.0f} s"
        )


if __name__ == "__main__":
    main()
