"""Should a smaller classifier have fewer channels or fewer blocks, or see smaller images?

    OMP_NUM_THREADS=1 python -m experiments.classifier_cuts      # resumable; photos: --data
    python -m experiments.classifier_cuts --print

EfficientNet-Lite0 is fine-tuned for eight epochs on 400 photos of clothes, drawn by a seed, as the reference
of a search is, and cut to a limit in every simple way (`nars.parents.space.cuts`). A cut inherits from it,
and is trained for eight epochs as the first candidates of a search are. Its row has what a search foretells
of it before (`Task.foretell`), and its accuracy on 400 other photos after the training.

Rows go to ``classifier_cuts.csv`` beside this file. Costs half an hour of one core for each seed.
"""

from __future__ import annotations

import argparse
from functools import cache, partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch

from experiments.resumable import work_through
from nars.foreign.paths import allow
from nars.parents.sources import parent
from nars.parents.space import Cut, cuts
from nars.runs.reference import fine_tune
from nars.space import Space
from nars.tasks.classification import Classification

RESULTS = Path(__file__).with_suffix(".csv")
"""A row per seed, limit and cut."""

LIMITS = (8e6, 30e6)
"""MACs that a cut has at most."""

PHOTOS = 400
"""Photos to train with, and as many others to measure with."""

EPOCHS = 8
"""Epochs of the reference and of every cut."""

CPU = torch.device("cpu")


def photos(root: Path, work: Path, seed: int) -> Path:
    """The table of the photos of a seed. This process may read them from then on."""
    allow([root])
    file = work / f"photos{seed}.csv"
    if not file.exists():
        work.mkdir(parents=True, exist_ok=True)
        paths = np.array(sorted(map(str, root.resolve().glob("*/*/*.jpg"))))
        drawn = np.random.default_rng(seed).permutation(paths)[: 2 * PHOTOS]
        table = pd.DataFrame({"path": drawn, "label": [Path(path).parent.name for path in drawn]})
        table["split"] = np.repeat(["train", "val"], PHOTOS)
        table.to_csv(file, index=False)
    return file


@cache
def opened(root: Path, work: Path, seed: int, limit: float) -> tuple[Classification, Space, list[Cut]]:
    """The task, whose candidates inherit from the reference, its space within a limit, and the cuts there."""
    task = Classification.open(photos(root, work, seed), CPU)
    lite = parent("efficientnet_lite0")
    assert lite is not None
    task = task.inheriting(lite)
    space = task.suited(task.space_of_parent(limit))
    assert isinstance(space, Space)
    space = space.for_classes(task.num_classes)
    settings = task.reference(space, EPOCHS)
    file = work / f"reference{seed}-{limit:.0f}.pt"
    if not file.exists():
        outcome = fine_tune(task.reference_candidate(settings), task, seed)
        assert outcome.write is not None
        outcome.write(file)
        print(f"{file.stem}: accuracy {outcome.score:.3f}, {outcome.seconds:.0f} s", flush=True)
    task = task.inheriting(task.parent_in(file))
    return task, space, cuts(space, task.wholes(space, settings), space, {"macs": limit})


def measured(root: Path, work: Path, seed: int, limit: float) -> list[dict[str, Any]]:
    """The rows of the cuts of one seed within a limit."""
    torch.set_num_threads(1)
    task, space, found = opened(root, work, seed, limit)
    rows = []
    for cut in found:
        candidate = space.decode(cut.genotype)
        row = {"seed": seed, "limit": limit, "side": candidate.architecture.resolution, "depth": cut.depth}
        row |= {"share": cut.share, "macs": task.costs(candidate)["macs"]}
        row |= {"foretold": round(task.foretell(candidate) or 0.0, 4)}
        rows.append(row | {"accuracy": round(task.run(candidate, seed=seed).score, 4)})
        print(", ".join(f"{key} {value}" for key, value in rows[-1].items()), flush=True)
    return rows


def show(rows: pd.DataFrame) -> None:
    """Print accuracy, and what was foretold, of every cut."""
    rows["score"] = rows.accuracy.map("{:.3f}".format) + rows.foretold.map(" ({:.3f})".format)
    print(rows.pivot(index=["limit", "side", "depth", "share"], columns="seed", values="score").to_string())


def options(doc: str | None) -> argparse.Namespace:
    """The options of an experiment with these photos and references, whose docstring is `doc`."""
    parser = argparse.ArgumentParser(description=(doc or "").splitlines()[0])
    parser.add_argument("--data", type=Path, default=Path("../shared/data/cls/clothing_photos"))
    parser.add_argument("--work", type=Path, default=Path("runs/classifier_cuts"), help="the references")
    parser.add_argument("--seeds", type=int, default=2, help="seeds 0 .. N-1")
    parser.add_argument("--processes", type=int, default=1)
    parser.add_argument("--print", dest="only_print", action="store_true", help="only print what is on file")
    return parser.parse_args()


def main() -> None:
    given = options(__doc__)
    if not given.only_print:
        jobs = [(seed, limit) for limit in LIMITS for seed in range(given.seeds)]
        work_through(
            RESULTS, ("seed", "limit"), jobs, partial(measured, given.data, given.work), given.processes
        )
    show(pd.read_csv(RESULTS))


if __name__ == "__main__":
    main()
