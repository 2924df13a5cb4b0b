"""The gain of each part of a search from weights: a dozen fixed candidates, trained with and without it.

    python -m experiments.photo_table.parts --data ../shared/data/cls/clothing_photos     # resumable
    python -m experiments.photo_table.parts --print

The candidates are random ones of the space of EfficientNet-Lite0 within 32 M MACs. Every way of training them
takes four epochs of the first resplit, ``long`` fifteen. For each way, the table has the mean score on val,
its gain over the way that lacks one part with a 95 % interval over candidates, and Kendall's tau with the
scores of ``long``.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from scipy.stats import kendalltau, t

from experiments.photo_table.photos import resplit
from experiments.photo_table.rows import EPOCHS, FINE_TUNING, ROWS
from experiments.photo_table.train import run_folder
from experiments.resumable import work_through
from nars.data import load
from nars.device import resolve
from nars.parents.parent import Parent
from nars.parents.sources import parent, parent_in
from nars.parents.space import space_of
from nars.space import feasible
from nars.space.genotypes import to_genotypes
from nars.spec import Candidate
from nars.tasks.classification import Classification
from search_spaces import published

FILE = Path(__file__).parent / "parts.csv"
"""A row per training."""

CANDIDATES, LIMIT, SHORT = 12, 32e6, 4
"""Number of candidates, most MACs of each, and epochs of a short training."""

_SHORT = FINE_TUNING.replace(epochs=SHORT)

WAYS: Mapping[str, tuple[str, Any]] = {
    "random": ("random", _SHORT),
    "imagenet": ("imagenet", _SHORT),
    "norms": ("norms", _SHORT),
    "plain": ("reference", _SHORT.replace(augmentation="flip_shift", crop_area=1.0)),
    "reference": ("reference", _SHORT),
    "taught": ("reference", _SHORT.replace(distill=0.7)),
    "long": ("reference", FINE_TUNING.replace(epochs=EPOCHS, distill=0.7)),
}
"""The origin of the weights, and the recipe; ``norms`` is the reference, judged by its weights alone."""

WITHOUT = {
    "imagenet": "random",
    "reference": "imagenet",
    "taught": "reference",
    "importance": "norms",
    "crops": "plain",
}
"""Part -> the way without it; ``importance`` and ``crops`` are parts of ``reference``."""


def main() -> None:
    """Train what is missing, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=Path("../shared/data/cls/clothing_photos"))
    parser.add_argument("--work", type=Path, default=Path("runs/photo_table"), help="folder of what is kept")
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--print", dest="only_print", action="store_true", help="only print what is on file")
    given = parser.parse_args()
    if not given.only_print:
        jobs = [(way, index) for way in WAYS for index in range(CANDIDATES)]
        work = _Work(given.data, given.work, given.device)
        work_through(FILE, ("way", "candidate"), jobs, work, given.processes)
    print(table(pd.read_csv(FILE)).to_string(index=False))


class _Work:
    """Trains one candidate in one way; picklable."""

    def __init__(self, data: Path, work: Path, device: str) -> None:
        self.data = data
        self.work = work
        self.device = device

    def __call__(self, way: str, index: int) -> Sequence[Mapping[str, Any]]:
        torch.set_num_threads(1)
        start, recipe = WAYS[way]
        candidate = candidates()[index].replace(recipe=recipe)
        outcome = _task(self.data, self.work, start, self.device).run(candidate, seed=index)
        return [
            {
                "way": way,
                "candidate": index,
                "score": round(outcome.score, 4),
                "seconds": round(outcome.seconds),
            }
        ]


@cache
def candidates() -> list[Candidate]:
    """The fixed candidates."""
    space = space_of(published("efficientnet_lite0"), 160, LIMIT).replace(num_classes=10)
    matrix = feasible.sample(space, {"macs": LIMIT}, CANDIDATES, np.random.default_rng(0))
    return [space.decode(genotype) for genotype in to_genotypes(space, matrix)]


@cache
def _task(root: Path, work: Path, start: str, device: str) -> Classification:
    data, place = load(resplit(root, 0, work)), resolve(device)
    if start == "random":
        return Classification(data, place)
    if start == "imagenet":
        return Classification(data, place, parent("efficientnet_lite0"))
    reference = parent_in(run_folder(ROWS[0], 0, work) / "weights" / "reference.pt")
    if start == "norms":
        reference = _judged_by_norms(reference)
    return Classification(data, place, reference)


def _judged_by_norms(origin: Parent) -> Parent:
    """The parent with an importance that names no channel, so the norms of its weights decide."""
    return replace(origin, importance={"none": torch.zeros(1)})


def table(rows: pd.DataFrame) -> pd.DataFrame:
    """A line for every part."""
    scores = rows.pivot(index="candidate", columns="way", values="score")
    lines = []
    for part, without in WITHOUT.items():
        way = part if part in scores else "reference"
        if not {way, without} <= set(scores):
            continue
        gain = (scores[way] - scores[without]).dropna()
        half = t.ppf(0.975, len(gain) - 1) * gain.std(ddof=1) / np.sqrt(len(gain))
        line = {"part": part, "without": f"{scores[without].mean():.3f}", "with": f"{scores[way].mean():.3f}"}
        line["gain"] = f"{gain.mean():+.3f} ± {half:.3f}"
        if "long" in scores:
            both = scores[[way, without, "long"]].dropna()
            line["tau without"] = f"{kendalltau(both[without], both['long']).statistic:.2f}"
            line["tau with"] = f"{kendalltau(both[way], both['long']).statistic:.2f}"
        lines.append(line)
    return pd.DataFrame(lines)


if __name__ == "__main__":
    main()
