"""How many passes, batches and regions does the fine-tuning of a detector need, if its images are few?

    OMP_NUM_THREADS=1 python -m experiments.detector_lengths --data-root ../shared/data     # resumable
    python -m experiments.detector_lengths --print

EfficientNet-Lite0, cut as a detector, is fine-tuned by the recipe of a search's reference at 160 pixels
(shorter side). It learns from 50 or all of two thirds of the training images of ``raccoon`` and ``bccd``, and
is measured on the last third of the *training* images; val is not opened. Every length is a training of its
own, because the rate falls to zero at its end; smaller batches make more steps of it, at a rate in
proportion. The box head learns from 32 regions of an image, or from 16 or 64. Rows, a training each, go to
``detector_lengths.csv`` beside this file. One seed: folds are the repeats. Costs an hour of one core for each
fold and number of images.

The rule that rests on it is `detector.space.lengths`; experiments/README.md has the table.
"""

from __future__ import annotations

import math
import time
from functools import partial
from pathlib import Path
from typing import Any

import pandas as pd
import torch

from detector.data.records import CocoData
from detector.space.candidate import DetectorCandidate
from detector.space.planned import plan_candidate
from detector.space.reference import FINE_TUNING, reference_candidate, reference_of
from detector.training.loop import train
from detector.training.start import started
from detector.weights.parents import DetectorParent
from experiments.detector_folds import fold_of, training_images
from experiments.detector_options import parsed, parser_of
from experiments.detector_table.detectors import lite0
from experiments.resumable import work_through

RESULTS = Path(__file__).with_suffix(".csv")
"""A row per training."""

WAYS = {(4, 32): (600, 1200, 2400), (8, 32): (1200,), (4, 64): (600,), (4, 16): (600,)}
"""Images of a step and regions of each that the box head learns from, and how many images such trainings see;
passes are that over a fold's images."""

FEW = 50
"""Images of the smaller trainings."""

FOLDS = (0, 1)
"""Thirds of the training images that are measured on."""

SIDE = 160
"""Shorter side of the images in pixels."""

KEY = ("set", "images", "seen", "fold", "batch", "regions")
"""Columns that tell a training from the others; 0 images are all of its fold."""


def jobs(sets: list[str]) -> list[tuple[str, int, int, int, int, int]]:
    """The trainings: of the first fold first, then those on all its images, in the order of `WAYS`."""
    lengths = [(seen, *way) for way, tried in WAYS.items() for seen in tried]
    return [
        (name, images, seen, fold, batch, regions)
        for fold in FOLDS
        for images in (0, FEW)
        for seen, batch, regions in lengths
        for name in sets
    ]


def reference(
    parent: DetectorParent, passes: int, images: int, batch: int, regions: int
) -> DetectorCandidate:
    """The reference of a search; its average spans as many images with every batch size."""
    candidate = reference_candidate(parent, reference_of(SIDE, images, 0.5, epochs=passes))
    decay = FINE_TUNING.ema_decay ** (batch / FINE_TUNING.batch_size)
    recipe = candidate.recipe.replace(evaluate_every=passes, batch_size=batch, ema_decay=decay)
    return candidate.replace(recipe=recipe, settings=candidate.settings.replace(box_samples=regions))


def fine_tuned(
    root: Path, device: str, name: str, images: int, seen: int, fold: int, batch: int, regions: int
) -> list[dict[str, Any]]:
    """Train once; return the row."""
    parent = lite0()
    data = fold_of(training_images(root, name), fold, images or None)
    count = len(data.train.images)
    candidate = reference(parent, math.ceil(seen / count), count, batch, regions)
    key = dict(zip(KEY, (name, images, seen, fold, batch, regions), strict=True))
    return [key | measured(candidate, parent, data, device)]


def measured(
    candidate: DetectorCandidate, parent: DetectorParent, data: CocoData, device: str
) -> dict[str, Any]:
    """Train once, on one thread of a CPU; return passes, AP, AP50 and seconds."""
    torch.set_num_threads(1)
    began = time.perf_counter()
    where = torch.device(device)
    model = started(plan_candidate(candidate, data, where, parent=parent), data, where, 0)
    scores = train(model, data, candidate.recipe, device=where, seed=0).evaluation.boxes
    return {
        "passes": candidate.recipe.epochs,
        "ap": scores.ap,
        "ap50": scores.ap50,
        "seconds": round(time.perf_counter() - began, 1),
    }


def show() -> None:
    """Print the AP of every length, the mean over folds."""
    rows = pd.read_csv(RESULTS)
    table = rows.pivot_table(
        index=["set", "images"], columns=["seen", "batch", "regions"], values="ap", aggfunc=["mean", "count"]
    )
    print(table.round(3).to_string())


def main() -> None:
    given = parsed(parser_of(__doc__))
    if not given.only_print:
        training = partial(fine_tuned, given.data_root, given.device)
        work_through(RESULTS, KEY, jobs(given.sets), training, given.processes)
    show()


if __name__ == "__main__":
    main()
