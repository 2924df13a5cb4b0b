"""Does a short training of detectors rank them as long trainings do, and by which of its scores?

    OMP_NUM_THREADS=1 python -m experiments.detector_proxy --data-root ../shared/data      # resumable
    OMP_NUM_THREADS=1 python -m experiments.detector_proxy --sets bccd
    python -m experiments.detector_proxy --folds 0 1
    python -m experiments.detector_proxy --device cuda --processes 8
    python -m experiments.detector_proxy --print

Ten candidates of the space of EfficientNet-Lite0 within a limit, with the recipes that come with them,
inherit from the reference as a search fine-tunes it, once per fold of the *training* images; val is not
opened. They are simple cuts of the reference and others near these (`nars.parents.space.lessons`), as the
good ones of a search are; random ones would be told apart by any length. Each is trained on two thirds for a
fraction of the passes of `detector.space.lengths`, at the same fraction of its rate
(`experiments.detector_heirs`), and measured on the last third: AP, AP50, AP75, the mean AP of the last three
passes, and, for one of the lengths, all this without averaged weights. Rows, a training each, go to
``detector_proxy.csv`` beside this file.

A short training is compared with the long ones on the *other* folds, so that images which happen to suit a
candidate in both are no agreement; a long training compared in this way is the most that can be reached. Taus
are means over folds, with the 95 % interval of a bootstrap over candidates. Two of the folds, enough to
compare trainings on one, cost three hours of one core on raccoon and five on bccd.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from scipy.stats import kendalltau

from detector.space.candidate import DetectorCandidate
from detector.space.lengths import passes
from detector.space.space import DetectorSpace
from detector.task import Detection
from experiments.detector_folds import fold_of, training_images
from experiments.detector_options import parsed, parser_of
from experiments.detector_table.detectors import lite0
from experiments.resumable import work_through, workers
from nars.parents.space import cuts, lessons
from nars.runs.reference import fine_tune

RESULTS = Path(__file__).with_suffix(".csv")
"""A row per training."""

WORK = Path("runs/detector_proxy")
"""The references, a file for each set and fold."""

COUNT = 10
"""Candidates of a set."""

MOST_MACS = {"raccoon": 100e6, "bccd": 200e6}
"""Their limits: small, since long trainings of large detectors take ten minutes each."""

FOLDS = (0, 1, 2)
"""Thirds of the training images that are measured on."""

DIVISORS = (4, 2, 1)
"""The passes of the long training by those of the others."""

WITHOUT_AVERAGE = 4
"""The divisor whose training is also measured without averaged weights."""

LAST = 3
"""Passes whose mean AP is a score."""

KEY = ("set", "candidate", "fold", "divisor", "averaged")
"""Columns that tell a training from the others."""

SCORES = ("ap", "ap50", "ap_last", "ap75")
"""Scores of a training that may rank."""

FEWEST = 4
"""Candidates without which nothing is printed."""

RESAMPLES = 1000
"""Bootstrap samples of the candidates."""

Floats = NDArray[np.float64]


def jobs(sets: list[str], folds: list[int]) -> list[tuple[str, int, int, int, bool]]:
    """The trainings, candidate by candidate, so that those on file are always of whole candidates."""
    ways = [(divisor, True) for divisor in DIVISORS] + [(WITHOUT_AVERAGE, False)]
    return [
        (name, number, fold, *way)
        for name in sets
        for number in range(COUNT)
        for fold in folds
        for way in ways
    ]


def opened(root: Path, name: str, fold: int, device: str) -> Detection:
    """The task of a fold, whose candidates inherit from ImageNet weights."""
    data = fold_of(training_images(root, name), fold)
    return Detection(data, torch.device(device), f"{name}-{fold}", lite0())


def space_of(root: Path, name: str, device: str, most_macs: float) -> DetectorSpace:
    """The space of a search on the first fold; all folds have the same candidates."""
    task = opened(root, name, 0, device)
    space = task.suited(task.space_of_parent(most_macs))
    assert isinstance(space, DetectorSpace)
    return space.replace(num_classes=task.num_classes)


def candidates(root: Path, name: str, device: str) -> list[DetectorCandidate]:
    """The candidates of a set within its limit: simple cuts, at most half of them, and some near these."""
    task, limits = opened(root, name, FOLDS[0], device), {"macs": MOST_MACS[name]}
    space = space_of(root, name, device, MOST_MACS[name])
    found = cuts(space, task.wholes(space, task.reference(space, None)), space, limits)
    drawn = lessons(space, limits, 0, [cut.genotype for cut in found], 2 * COUNT)
    return [space.decode(genotype) for genotype in drawn[:COUNT]]


def refer(root: Path, work: Path, device: str, name: str, fold: int, most_macs: float) -> None:
    """Fine-tune the reference of a fold for a search within a limit, unless its file is there."""
    torch.set_num_threads(1)
    file = work / f"{name}-{fold}.pt"
    if file.exists():
        return
    task = opened(root, name, fold, device)
    settings = task.reference(space_of(root, name, device, most_macs), None)
    outcome = fine_tune(task.reference_candidate(settings), task, 0)
    assert outcome.write is not None
    work.mkdir(parents=True, exist_ok=True)
    outcome.write(file)
    print(f"reference of {file.stem}: AP {outcome.score:.3f}, {outcome.seconds:.0f} s", flush=True)


def trained(
    root: Path, work: Path, device: str, name: str, number: int, fold: int, divisor: int, averaged: bool
) -> list[dict[str, Any]]:
    """Train once; return the row. Its seed is its own: no two trainings draw the same batches."""
    torch.set_num_threads(1)
    candidate = candidates(root, name, device)[number]
    task = opened(root, name, fold, device)
    task = task.inheriting(task.parent_in(work / f"{name}-{fold}.pt"))
    most = passes(len(task.data.train.images))
    epochs = max(LAST, most // divisor)
    assert candidate.recipe.lr is not None, "a searched rate"
    rate = candidate.recipe.lr * epochs / most
    recipe = candidate.recipe.replace(epochs=epochs, lr=rate, ema=averaged)
    outcome = task.run(candidate.replace(recipe=recipe), seed=100 * number + 10 * fold + divisor)
    key = dict(zip(KEY, (name, number, fold, divisor, averaged), strict=True))
    last = [score for _, score in outcome.curve[-LAST:]]
    scores = {"ap_last": sum(last) / len(last)} | {
        each: outcome.metrics.get(each, 0.0) for each in SCORES if each != "ap_last"
    }
    costs = {"macs": task.costs(candidate)["macs"], "epochs": epochs, "seconds": round(outcome.seconds, 1)}
    return [key | {score: round(scores[score], 5) for score in SCORES} | costs]


def taus(
    rows: pd.DataFrame, divisor: int, averaged: bool, score: str, folds: int
) -> Iterator[tuple[Floats, Floats]]:
    """Pairs of scores [n]: of short trainings, mean over `folds`, and of long ones on the others.

    Folds that have fewer candidates than another are left out; without another fold there are no pairs.
    """
    candidates_of = rows.groupby("fold").candidate.nunique()
    done = candidates_of[candidates_of == candidates_of.max()].index.tolist()
    short = rows[(rows.divisor == divisor) & (rows.averaged == averaged)]
    long = rows[(rows.divisor == 1) & rows.averaged]
    of_short, of_long = (
        part[part.fold.isin(done)].pivot(index="candidate", columns="fold", values=value)
        for part, value in ((short, score), (long, "ap"))
    )
    if folds >= len(done):
        return
    whole = of_short.dropna().index.intersection(of_long.dropna().index)
    for fold in done:
        others = [other for other in done if other != fold]
        measured, held = ([fold], others) if folds == 1 else (others, [fold])
        yield (
            of_short.loc[whole, measured].mean(axis=1).to_numpy(),
            of_long.loc[whole, held].mean(axis=1).to_numpy(),
        )


def agreement(pairs: list[tuple[Floats, Floats]]) -> tuple[float, float, float]:
    """The mean Kendall's tau of pairs of scores, and the ends of its interval."""

    def mean(chosen: NDArray[np.int64]) -> float:
        return float(np.nanmean([kendalltau(short[chosen], long[chosen]).statistic for short, long in pairs]))

    count = len(pairs[0][0])
    rng = np.random.default_rng(0)
    drawn = [mean(rng.integers(count, size=count)) for _ in range(RESAMPLES)]
    low, high = np.nanquantile(drawn, [0.025, 0.975])
    return mean(np.arange(count)), float(low), float(high)


def show() -> None:
    """Print how every short training ranks, over the folds that are done."""
    for name, rows in pd.read_csv(RESULTS).groupby("set"):
        lines = []
        ways = [(divisor, True) for divisor in DIVISORS] + [(WITHOUT_AVERAGE, False)]
        for divisor, averaged in ways:
            of_way = rows[(rows.divisor == divisor) & (rows.averaged == averaged)]
            for score in SCORES:
                for folds in (1, 2):
                    pairs = list(taus(rows, divisor, averaged, score, folds))
                    if not pairs or len(pairs[0][0]) < FEWEST:
                        continue
                    tau, low, high = agreement(pairs)
                    lines.append(
                        {
                            "passes": int(of_way.epochs.iloc[0]),
                            "averaged": averaged,
                            "score": score,
                            "folds": folds,
                            "candidates": len(pairs[0][0]),
                            "tau": f"{tau:.2f} ({low:.2f} to {high:.2f})",
                            "seconds": f"{folds * of_way.seconds.median():.0f}",
                        }
                    )
        few = f"fewer than {FEWEST} whole candidates"
        table = pd.DataFrame(lines).to_string(index=False) if lines else few
        print(f"\n{name}\n{table}")


def main() -> None:
    parser = parser_of(__doc__, WORK, sets=["raccoon"])
    parser.add_argument("--folds", type=int, nargs="*", default=list(FOLDS))
    given = parsed(parser)
    if not given.only_print:
        how = (given.data_root, given.work, given.device)
        with workers(given.processes) as pool:
            pairs = [(name, fold) for name in given.sets for fold in given.folds]
            for job in [pool.submit(refer, *how, *pair, MOST_MACS[pair[0]]) for pair in pairs]:
                job.result()
        work_through(RESULTS, KEY, jobs(given.sets, given.folds), partial(trained, *how), given.processes)
    show()


if __name__ == "__main__":
    main()
