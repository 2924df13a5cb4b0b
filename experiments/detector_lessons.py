"""Does a search of detectors train better candidates first if it has measured untrained ones, and which?

    OMP_NUM_THREADS=1 python -m experiments.detector_lessons --data-root ../shared/data      # resumable
    python -m experiments.detector_lessons --print

A search from EfficientNet-Lite0 within 400 M MACs begins with two simple cuts of its reference and one more
candidate, and predicts from then on. Before these it learns from nothing, from 64 random candidates, or from
64 of which some are simple cuts and others are near them (`nars.parents.space.lessons`). What it proposes is
measured as it inherits, by AP on 64 *training* images (`detector.task.Detection.foretell`). Nothing is
trained: the search is told a score that rises with this AP as that of the few trained ones did, plus noise.
So the experiment shows where a search looks, not how good its winner is.

Rows, a proposal each, go to ``detector_lessons.csv`` beside this file. Costs ten minutes of one core for a
seed, and twenty for the reference, which `experiments.detector_cuts` has, too.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import optuna
import pandas as pd
import torch

from detector.space.space import DetectorSpace
from detector.task import Detection
from experiments.detector_cuts import FOLD, MOST_MACS, WORK
from experiments.detector_options import parsed, parser_of
from experiments.detector_proxy import opened, refer, space_of
from experiments.resumable import work_through, workers
from nars.parents.space import best_cuts, cuts, lessons
from nars.predictors.knowledge import EarlierSearch
from nars.sampling.strategy import Strategy
from nars.searching.samplers import make_sampler
from nars.workers.foretold import COUNT

RESULTS = Path(__file__).with_suffix(".csv")
"""A row per proposal."""

LESSONS = ("none", "random", "near cuts")
"""Candidates that a search has measured before."""

PROPOSALS = 10
"""Candidates that a search proposes, the two cuts included."""

LEAST, RISE, NOISE = 0.33, 0.35, 0.01
"""The score that a search is told: `LEAST` + `RISE` * AP, with noise of this deviation."""

LIMITS = {"macs": MOST_MACS}

KEY = ("set", "lesson", "seed")


def proposed(root: Path, work: Path, device: str, name: str, lesson: str, seed: int) -> list[dict[str, Any]]:
    """Let one search propose; return a row per proposal."""
    torch.set_num_threads(1)
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    task, space = opened(root, name, FOLD, device), space_of(root, name, device, MOST_MACS)
    found = cuts(space, task.wholes(space, task.reference(space, None)), space, LIMITS)
    heirs = task.inheriting(task.parent_in(work / f"{name}-{FOLD}.pt"))
    around = [cut.genotype for cut in found] if lesson == "near cuts" else []
    drawn = lessons(space, LIMITS, seed, around, COUNT) if lesson != "none" else []
    learned = EarlierSearch(
        run=lesson, genotypes=tuple(drawn), scores=tuple(_ap(heirs, space, each) for each in drawn)
    )
    first = best_cuts(found)
    sampler = make_sampler(
        "nars",
        space,
        LIMITS,
        ("ap",),
        seed,
        "gaussian",
        (learned,) if drawn else (),
        Strategy(first=first, first_batch=len(first) + 1),
    )
    study, rng = optuna.create_study(direction="maximize", sampler=sampler), np.random.default_rng(seed)
    rows = []
    for number in range(PROPOSALS):
        trial = study.ask(dict(space.distributions))
        ap = _ap(heirs, space, trial.params)
        study.tell(trial, LEAST + RISE * ap + NOISE * rng.standard_normal())
        macs = heirs.costs(space.decode(trial.params))["macs"]
        row = dict(zip(KEY, (name, lesson, seed), strict=True)) | {"number": number}
        rows.append(row | {"ap": round(ap, 4), "macs": macs})
    return rows


def _ap(task: Detection, space: DetectorSpace, genotype: dict[str, Any]) -> float:
    value = task.foretell(space.decode(genotype))
    assert value is not None, "the parent knows the classes"
    return value


def show() -> None:
    """Print the AP of every proposal, and over all after the cuts the mean and the share of good ones."""
    rows = pd.read_csv(RESULTS)
    by = ["set", "lesson", "seed"]
    print(rows.pivot(index=by, columns="number", values="ap").round(2).to_string())
    later = rows[rows.number >= 2]
    worst = rows[rows.number < 2].groupby("set").ap.min()
    good = later.assign(good=later.ap > later.set.map(worst))
    print(good.groupby(["set", "lesson"]).agg(mean=("ap", "mean"), as_good_as_cuts=("good", "mean")).round(3))


def main() -> None:
    parser = parser_of(__doc__, WORK, sets=["raccoon"])
    parser.add_argument("--seeds", type=int, nargs="*", default=[0, 1, 2])
    given = parsed(parser)
    if not given.only_print:
        how = (given.data_root, given.work, given.device)
        with workers(given.processes) as pool:
            for job in [pool.submit(refer, *how, name, FOLD, MOST_MACS) for name in given.sets]:
                job.result()
        jobs = [(name, lesson, seed) for name in given.sets for seed in given.seeds for lesson in LESSONS]
        work_through(RESULTS, KEY, jobs, partial(proposed, *how), given.processes)
    show()


if __name__ == "__main__":
    main()
