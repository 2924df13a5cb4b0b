"""How fast should classifiers learn that inherit from a fine-tuned one?

    OMP_NUM_THREADS=1 python -m experiments.classifier_heirs      # resumable; photos: --data
    python -m experiments.classifier_heirs --print

EfficientNet-Lite0 is fine-tuned on 400 photos of clothes and cut to a limit in the most promising of the
simple ways, as in `experiments.classifier_cuts`. The cut is trained for eight epochs with several peaks of
the learning rate, and measured on 400 other photos.

Rows go to ``classifier_heirs.csv`` beside this file. Costs a quarter of an hour of one core for each seed,
and ten minutes for its references, which `experiments.classifier_cuts` has, too.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import pandas as pd
import torch

from experiments.classifier_cuts import LIMITS, opened, options
from experiments.resumable import work_through
from nars.parents.space import best_cuts

RESULTS = Path(__file__).with_suffix(".csv")
"""A row per training."""

RATES = (0.025, 0.05, 0.1, 0.2, 0.4)
"""Peaks of the learning rate; the reference had the second."""

KEY = ("seed", "limit", "lr")


def trained(root: Path, work: Path, seed: int, limit: float, lr: float) -> list[dict[str, Any]]:
    """Train the cut of one seed within a limit; return the row."""
    torch.set_num_threads(1)
    task, space, found = opened(root, work, seed, limit)
    candidate = space.decode(best_cuts(found)[0])
    candidate = candidate.replace(recipe=candidate.recipe.replace(lr=lr))
    outcome = task.run(candidate, seed=seed)
    row = dict(zip(KEY, (seed, limit, lr), strict=True)) | {"side": candidate.architecture.resolution}
    return [row | {"accuracy": round(outcome.score, 4), "seconds": round(outcome.seconds, 1)}]


def main() -> None:
    given = options(__doc__)
    if not given.only_print:
        jobs = [(seed, limit, lr) for seed in range(given.seeds) for limit in LIMITS for lr in RATES]
        work_through(RESULTS, KEY, jobs, partial(trained, given.data, given.work), given.processes)
    rows = pd.read_csv(RESULTS)
    print(rows.pivot(index=["limit", "side", "seed"], columns="lr", values="accuracy").round(3).to_string())


if __name__ == "__main__":
    main()
