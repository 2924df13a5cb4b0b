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
from functools import partial
from pathlib import Path
from typing import Any

import pandas as pd

from detector.space.reference import BOX_SAMPLES, FINE_TUNING
from experiments.detector_folds import fold_of, training_images
from experiments.detector_lengths import measured, reference
from experiments.detector_options import parsed, parser_of
from experiments.detector_table.detectors import lite0
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
    parent = lite0()
    data = fold_of(training_images(root, name), FOLD)
    count = len(data.train.images)
    whole = reference(parent, math.ceil(seen / count), count, FINE_TUNING.batch_size, BOX_SAMPLES)
    recipe, settings = whole.recipe.replace(lr=rate), whole.settings.replace(freeze=frozen)
    key = dict(zip(KEY, (name, seen, frozen, rate), strict=True))
    return [key | measured(whole.replace(recipe=recipe, settings=settings), parent, data, device)]


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
