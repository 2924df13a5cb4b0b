"""How few labels does each predictor need to rank candidates, and how much does pretraining add?

    OMP_NUM_THREADS=1 python -m experiments.predictor_pretraining [--data-root ../shared/data]    # resumable
    python -m experiments.predictor_pretraining --print

Candidates are random sub-networks of OFA-MobileNetV3. Their ImageNet accuracy is predicted by the
surrogate of `experiments/search_benchmark/tasks/ofa.py` (a Gaussian process on 2162 measured networks,
IntelLabs/DyNAS-T, Apache-2.0), and a label has noise of 0.1 points. Each predictor learns from 10 to 400
labels and ranks 1000 other candidates. Prints Kendall's tau with the truth, over the full range and among
those with 250 to 280 M MACs, where a search must decide.

Costs a minute on two cores. Expected: with 20 labels, pretraining raises the ensemble's tau from .31 to
.60; the Gaussian process of nars has .62. A row of ``predictor_pretraining.csv`` beside this file is a
predictor, a number of labels and a seed.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from scipy.stats import kendalltau, t
from sklearn.linear_model import RidgeCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from experiments.resumable import work_through
from experiments.search_benchmark import gaussian_process
from experiments.search_benchmark.problem import Array, Task
from experiments.search_benchmark.tasks import load
from nars.space.genotypes import Matrix, sample

RESULTS = Path(__file__).with_suffix(".csv")
"""A row per predictor, number of labels and seed."""

LABELS = (10, 20, 50, 100, 200, 400)
"""Numbers of labels to learn from."""

BAND = (250e6, 280e6)
"""Least and most MACs of the band."""

TASK = "ofa-imagenet-280M-n0.1"
"""The task of the search benchmark that has truth and labels."""

TESTED = 1000
"""Candidates to rank."""

Fit = Callable[[Task, Matrix, Array, int], Callable[[Matrix], Array]]
"""Learns labels [n] of genotypes [n, d] with a seed; returns what predicts."""


def by_macs(task: Task, x: Matrix, y: Array, seed: int) -> Callable[[Matrix], Array]:
    """More MACs, better score: learns nothing."""
    return lambda matrix: task.problem.domain.statistics(matrix)["macs"]


def _inputs(task: Task, matrix: Matrix, statistics: bool) -> list[Array]:
    encoded = task.problem.domain.dimensions.features(matrix).astype(np.float64)
    known = task.problem.domain.statistics(matrix)
    return [encoded, np.stack([np.log(values) for values in known.values()], axis=1)][: 1 + statistics]


def ridge(task: Task, x: Matrix, y: Array, seed: int, statistics: bool) -> Callable[[Matrix], Array]:
    """Ridge regression on standardized inputs, its penalty chosen by leave-one-out error."""
    model = make_pipeline(StandardScaler(), RidgeCV(np.logspace(-1, 4, 16)))
    model.fit(np.concatenate(_inputs(task, x, statistics), axis=1), y)
    return lambda matrix: model.predict(np.concatenate(_inputs(task, matrix, statistics), axis=1))


def plain_process(task: Task, x: Matrix, y: Array, seed: int) -> Callable[[Matrix], Array]:
    """The plain Gaussian process of the search benchmark."""
    groups = _inputs(task, x, statistics=True)
    centre, spread = groups[1].mean(axis=0), groups[1].std(axis=0)

    def scaled(matrix: Matrix) -> list[Array]:
        encoded, known = _inputs(task, matrix, statistics=True)
        return [encoded, (known - centre) / spread]

    process = gaussian_process.fit(scaled(x), y, gaussian_process.fit_hyperparameters(scaled(x), y))
    return lambda matrix: process.predict(scaled(matrix))


def ours(task: Task, x: Matrix, y: Array, seed: int, name: str) -> Callable[[Matrix], Array]:
    """A predictor of nars: ``gaussian``, or an ensemble ``pretrained`` or from ``scratch``."""
    from nars.predictors.ensemble import AccuracyPredictor
    from nars.predictors.gaussian import GaussianPredictor  # torch, in workers only

    predictor: Any = GaussianPredictor(task.problem.domain, seed)
    if name != "gaussian":
        predictor = AccuracyPredictor(task.problem.domain, pretrained=name == "pretrained", seed=seed)
    fitted = predictor.fit(x, y)
    return lambda matrix: np.asarray(fitted.predict(matrix))


PREDICTORS: dict[str, Fit] = {
    "MACs alone": by_macs,
    "ridge": partial(ridge, statistics=False),
    "ridge + statistics": partial(ridge, statistics=True),
    "plain Gaussian process": plain_process,
    "ensemble from scratch": partial(ours, name="scratch"),
    "ensemble pretrained": partial(ours, name="pretrained"),
    "nars.gaussian": partial(ours, name="gaussian"),
}
"""The predictors that are compared."""


def one_seed(seed: int, data_root: Path) -> list[dict[str, object]]:
    """Fit every predictor to every number of labels; return the rows of one seed."""
    task, rng = load(TASK, data_root), np.random.default_rng(seed)
    drawn = sample(task.problem.domain, 40_000, rng, quasi=False)
    macs = task.problem.domain.statistics(drawn)["macs"]
    labelled = drawn[: max(LABELS)]
    _, noisy = task.train(labelled, rng)
    rest, rest_macs = drawn[max(LABELS) :], macs[max(LABELS) :]
    inside = rest[(rest_macs >= BAND[0]) & (rest_macs <= BAND[1])]
    tests = {"full": rest[:TESTED], "band": inside[:TESTED]}
    truths = {name: task.truth(matrix) for name, matrix in tests.items()}
    rows: list[dict[str, object]] = []
    for count in LABELS:
        for name, fit in PREDICTORS.items():
            predict = fit(task, labelled[:count], noisy[:count], seed)
            taus = {
                where: round(float(kendalltau(predict(matrix), truths[where]).statistic), 4)
                for where, matrix in tests.items()
            }
            rows.append({"predictor": name, "labels": count, "seed": seed, **taus})
    print(f"seed {seed} done", flush=True)
    return rows


def show() -> None:
    table = pd.read_csv(RESULTS)
    seeds = table["seed"].nunique()
    for where in ("full", "band"):
        grouped = table.groupby(["predictor", "labels"], sort=False)[where].agg(["mean", "std"])
        text = grouped.apply(lambda row: f"{row['mean']:.2f} ({row['std']:.2f})", axis=1).unstack()
        print(f"\nKendall tau, {where}: mean (sd over {seeds} seeds)\n{text.to_string()}")
        wide = table.pivot_table(index="seed", columns=["predictor", "labels"], values=where)
        gains = wide["ensemble pretrained"] - wide["ensemble from scratch"]
        half = t.ppf(0.975, seeds - 1) * gains.std(ddof=1) / np.sqrt(seeds)
        shown = (f"{gains[count].mean():.2f} ± {half[count]:.2f}" for count in LABELS)
        print(f"gained by pretraining the ensemble, 95 %: {', '.join(shown)}")


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--data-root", type=Path, default=Path("../shared/data"), help="folder of nas/")
    parser.add_argument("--seeds", type=int, default=10, help="seeds 0 .. N-1")
    parser.add_argument("--print", dest="only_print", action="store_true", help="only print what is on file")
    options = parser.parse_args()
    if not options.only_print:
        source = options.data_root / "nas" / "ofa_mbv3_imagenet.parquet"
        if not source.exists():
            sys.exit(f"skipped: {source} is not there (see --data-root)")
        seeds = [(seed,) for seed in range(options.seeds)]
        work_through(RESULTS, ("seed",), seeds, partial(one_seed, data_root=options.data_root), processes=2)
    show()


if __name__ == "__main__":
    main()
