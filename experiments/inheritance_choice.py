"""Does what candidates keep of their parent help to choose among those that are near a limit?

    OMP_NUM_THREADS=1 python -m experiments.inheritance_choice     # resumable
    python -m experiments.inheritance_choice --print

Takes the candidates that `experiments.inheritance_statistic` trained with 8 M MACs or more, of which a search
within 32 M MACs has to choose; over the whole range MACs alone tell good from bad. The Gaussian process of
nars predicts them from the labels of a few, as it is, with the statistic of each candidate, and with its
prediction from 64 further ones, as a search has it (`nars.workers.foretold`); MACs given in the same two ways
are the control.

Two numbers for 40 random orders of the candidates: Kendall's tau on those without a label, if the first 8 or
16 have one; and how far the best of 4, 8 or 12 is from the best of all, if the first two are labelled, and
then, one after the other, that which is predicted to be best.

Costs five minutes on one core. Leaves ``inheritance_choice.csv`` beside this file.
"""

from __future__ import annotations

import argparse
from functools import cache
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from scipy.stats import kendalltau

from experiments.inheritance_statistic import (
    BAND,
    MODELLED,
    TRAINED,
    UNTRAINED,
    Floats,
    Measured,
    Ranker,
    candidates,
    further,
    known,
    modelled,
    ranker,
    trained,
)
from experiments.resumable import work_through
from nars.space.genotypes import Matrix

RESULTS = Path(__file__).with_suffix(".csv")
"""A row per way to know a statistic, statistic and order."""

WAYS = (("bare", "none"), *((way, name) for name in ("echo", "macs") for way in ("measured", "modelled")))
"""How the process knows which statistic."""

REPEATS = 40
"""Random orders of the candidates."""

LABELS, FIRST, CHOSEN = (8, 16), 2, (4, 8, 12)
"""Labelled candidates for a tau; labels that the choosing starts with; labels after which its loss counts."""


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--print", dest="only_print", action="store_true", help="only print what is on file")
    if not parser.parse_args().only_print:
        jobs = [(way, name, repeat) for way, name in WAYS for repeat in range(REPEATS)]
        work_through(RESULTS, ("way", "statistic", "repeat"), jobs, judge, 1)
    show(pd.read_csv(RESULTS))


def judge(way: str, name: str, repeat: int) -> list[dict[str, object]]:
    """The row of an order: taus by number of labels, and losses by number of candidates chosen."""
    torch.set_num_threads(1)
    x, scores = pool()
    predict = _ranker(way, name)
    order = np.random.default_rng(repeat).permutation(len(x))
    row: dict[str, object] = {"way": way, "statistic": name, "repeat": repeat}
    for count in LABELS:
        labelled, others = order[:count], order[count:]
        predicted = predict(x[labelled], scores[labelled], x[others])
        row[f"tau_{count}"] = round(float(kendalltau(predicted, scores[others]).statistic), 4)
    chosen = list(order[:FIRST])
    while len(chosen) < max(CHOSEN):
        others = np.setdiff1d(order, chosen)
        chosen.append(others[np.argmax(predict(x[chosen], scores[chosen], x[others]))])
        if len(chosen) in CHOSEN:
            row[f"loss_{len(chosen)}"] = round(float(scores.max() - scores[chosen].max()), 4)
    return [row]


@cache
def pool() -> tuple[Matrix, Floats]:
    """The genotypes of the candidates that are chosen from, and their scores."""
    table = trained(_count())
    near = np.flatnonzero(table["macs"] >= BAND)
    return candidates(_count())[near], table["score"].to_numpy()[near]


def _count() -> int:
    return len(pd.read_csv(TRAINED))


@cache
def _ranker(way: str, name: str) -> Ranker:
    if way == "bare":
        return ranker(None)
    if way == "measured":
        return ranker(Measured(candidates(_count()), known(name, TRAINED, candidates(_count()))))
    few = MODELLED[0]
    return ranker(modelled(further()[:few], known(name, UNTRAINED, further())[:few]))


def show(rows: pd.DataFrame) -> None:
    """Print means over orders, and the gain over the bare process with its standard error over them."""
    print(f"{len(pool()[0])} candidates")
    numbers = [*(f"tau_{count}" for count in LABELS), *(f"loss_{count}" for count in CHOSEN)]
    by_way = {way: part.set_index("repeat")[numbers] for way, part in rows.groupby(["way", "statistic"])}
    bare = by_way["bare", "none"]
    lines = []
    for (way, name), part in by_way.items():
        gain = part - bare
        line = {"way": way, "statistic": name}
        for number in numbers:
            error = gain[number].std() / len(gain) ** 0.5
            line[number] = f"{part[number].mean():.4f} ({gain[number].mean():+.4f} ± {1.96 * error:.4f})"
        lines.append(line)
    print(pd.DataFrame(lines).to_string(index=False))


if __name__ == "__main__":
    main()
