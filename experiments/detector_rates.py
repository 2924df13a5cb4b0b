"""At which learning rate, and with how many frozen stages, is a detector best fine-tuned on few images?

    OMP_NUM_THREADS=1 python -m experiments.detector_rates --data-root ../shared/data     # resumable
    python -m experiments.detector_rates --print

EfficientNet-Lite0 as a detector is fine-tuned as in `experiments.detector_lengths`, on two thirds of the
training images of ``raccoon`` and ``bccd``, and measured on the last third of the *training* images; val is
not opened. Rates are those of 16 images, as everywhere; steps have four. Rows, a training each, go to
``detector_rates.csv`` beside this file. One seed. Costs eight minutes of one core for each training.
"""

from __future__ import annotations

import math
import time
from functools import partial
from pathlib import Path
from typing import Any

import pandas as pd
import torch

from detector.space.planned import plan_candidate
from detector.space.reference import BOX_SAMPLES, FINE_TUNING
from detector.training.loop import train
from detector.training.start import started
from detector.weights.parents import parent_called
from experiments.detector_folds import fold_of, training_images
from experiments.detector_lengths import reference
from experiments.detector_options import parsed, parser_of
from experiments.resumable import work_through

RESULTS = Path(__file__).with_suffix(".csv")
"""A row per training."""

RATES, FROZEN, SEEN = (0.04, 0.12, 0.24), (0, 2), 1200
"""Values that are tried: rates, frozen stages, and images that a training sees by default."""

FOLD = 0
"""The third of the training images that is measured on."""

KEY = ("set", "seen", "frozen", "rate")
"""Columns that tell a training from the others."""


def fine_tuned(
    root: Path, device: str, name: str, seen: int, frozen: int, rate: float
) -> list[dict[str, Any]]:
    """Train once; return the row."""
    torch.set_num_threads(1)
    parent = parent_called("efficientnet_lite0")
    assert parent is not None
    data = fold_of(training_images(root, name), FOLD, None)
    count = len(data.train.images)
    passes = math.ceil(seen / count)
    whole = reference(parent, passes, count, FINE_TUNING.batch_size, BOX_SAMPLES)
    recipe, settings = whole.recipe.replace(lr=rate), whole.settings.replace(freeze=frozen)
    candidate = whole.replace(recipe=recipe, settings=settings)
    began = time.perf_counter()
    where = torch.device(device)
    model = started(plan_candidate(candidate, data, where, parent=parent), data, where, 0)
    scores = train(model, data, candidate.recipe, device=where, seed=0).evaluation.boxes
    row = dict(zip(KEY, (name, seen, frozen, rate), strict=True))
    seconds = round(time.perf_counter() - began, 1)
    return [row | {"passes": passes, "ap": scores.ap, "ap50": scores.ap50, "seconds": seconds}]


def show() -> None:
    """Print the AP of each rate."""
    rows = pd.read_csv(RESULTS)
    print(rows.pivot(index=["set", "seen", "frozen"], columns="rate", values="ap").round(3).to_string())


def main() -> None:
    parser = parser_of(__doc__)
    parser.add_argument("--rates", type=float, nargs="*", default=RATES)
    parser.add_argument("--frozen", type=int, nargs="*", default=FROZEN)
    parser.add_argument("--seen", type=int, nargs="*", default=[SEEN])
    given = parsed(parser)
    if not given.only_print:
        jobs = [
            (name, seen, frozen, rate)
            for seen in given.seen
            for frozen in given.frozen
            for rate in given.rates
            for name in given.sets
        ]
        work = partial(fine_tuned, given.data_root, given.device)
        work_through(RESULTS, KEY, jobs, work, given.processes)
    show()


if __name__ == "__main__":
    main()
