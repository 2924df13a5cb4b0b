"""How fast and for how long should detectors learn that inherit from a fine-tuned one?

    OMP_NUM_THREADS=1 python -m experiments.detector_heirs --data-root ../shared/data      # resumable
    OMP_NUM_THREADS=1 python -m experiments.detector_heirs --detectors winner --sets bccd --seeds 0 1
    python -m experiments.detector_heirs --print

One detector is the first candidate of a search from EfficientNet-Lite0 within 400 M MACs: the parent, cut in
the most promising of the simple ways. The other is the winner of that search in `experiments.detector_table`,
with its recipe. Both inherit from the reference of the search, are trained on two thirds of the *training*
images of a set, the cut with several peaks of the learning rate and numbers of passes, the winner with higher
peaks, and are measured on the last third; val is not opened. Rows go to ``detector_heirs.csv`` beside this
file.

The cut costs an hour of one core for a set and seed, the winner ten minutes on bccd and forty on raccoon, and
the reference twenty, which `experiments.detector_cuts` has, too.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import pandas as pd
import torch

from detector.space.candidate import DetectorCandidate
from detector.space.lengths import passes
from detector.space.space import DetectorSpace
from detector.task import Detection
from experiments.detector_cuts import FOLD, MOST_MACS, WORK
from experiments.detector_options import parsed, parser_of
from experiments.detector_proxy import opened, refer, space_of
from experiments.detector_table.detectors import winner_file
from experiments.resumable import work_through, workers
from nars.parents.space import best_cuts, cuts

RESULTS = Path(__file__).with_suffix(".csv")
"""A row per training."""

RATES = {"cut": (0.005, 0.01, 0.02, 0.04), "winner": (0.04, 0.12, 0.24, 0.48)}
"""Peaks of the learning rate of each detector; the reference had .04, and a search offers .12 at most."""

DIVISORS = {"cut": (4, 2, 1), "winner": (1,)}
"""The passes of the reference by those of a training."""

LAST = 3
"""Passes whose mean AP is a score, too."""

KEY = ("detector", "set", "divisor", "lr", "seed")


def heir(task: Detection, space: DetectorSpace, name: str, detector: str) -> DetectorCandidate:
    """The detector called `detector` of the set `name`."""
    if detector == "winner":
        return DetectorCandidate.load(winner_file(name, "a400"))
    wholes = task.wholes(space, task.reference(space, None))
    return space.decode(best_cuts(cuts(space, wholes, space, {"macs": MOST_MACS}))[0])


def trained(
    root: Path, work: Path, device: str, detector: str, name: str, divisor: int, lr: float, seed: int
) -> list[dict[str, Any]]:
    """Train once; return the row."""
    torch.set_num_threads(1)
    task = opened(root, name, FOLD, device)
    candidate = heir(task, space_of(root, name, device, MOST_MACS), name, detector)
    epochs = max(1, passes(len(task.data.train.images)) // divisor)
    candidate = candidate.replace(recipe=candidate.recipe.replace(lr=lr, epochs=epochs))
    task = task.inheriting(task.parent_in(work / f"{name}-{FOLD}.pt"))
    outcome = task.run(candidate, seed=seed)
    last = [score for _, score in outcome.curve[-LAST:]]
    row = dict(zip(KEY, (detector, name, divisor, lr, seed), strict=True)) | {"epochs": epochs}
    row |= {"ap": round(outcome.score, 4), "ap50": round(outcome.metrics["ap50"], 4)}
    return [row | {"ap_last": round(sum(last) / len(last), 4), "seconds": round(outcome.seconds, 1)}]


def main() -> None:
    parser = parser_of(__doc__, WORK, sets=["raccoon"])
    parser.add_argument("--detectors", nargs="*", choices=tuple(RATES), default=["cut"])
    parser.add_argument("--seeds", type=int, nargs="*", default=[0])
    given = parsed(parser)
    if not given.only_print:
        root = given.data_root
        how = (root, given.work, given.device)
        with workers(given.processes) as pool:
            for job in [pool.submit(refer, *how, name, FOLD, MOST_MACS) for name in given.sets]:
                job.result()
        jobs = [
            (detector, name, divisor, lr, seed)
            for detector in given.detectors
            for name in given.sets
            for seed in given.seeds
            for divisor in DIVISORS[detector]
            for lr in RATES[detector]
        ]
        work_through(RESULTS, KEY, jobs, partial(trained, *how), given.processes)
    rows = pd.read_csv(RESULTS)
    for (detector, name), of_one in rows.groupby(["detector", "set"]):
        means = of_one.pivot_table(index="epochs", columns="lr", values=["ap", "ap_last"])
        print(f"\n{detector}, {name}: {of_one.seed.nunique()} seeds\n{means.round(3).to_string()}")


if __name__ == "__main__":
    main()
