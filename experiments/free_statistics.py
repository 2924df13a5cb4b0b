"""Do statistics that cost no training help an accuracy predictor, as targets to pretrain on or as inputs?

    OMP_NUM_THREADS=1 python -m experiments.free_statistics [--data-root ../shared/data]    # resumable
    python -m experiments.free_statistics --print

Candidates are sub-networks of OFA-MobileNetV3 on ImageNet, with truth and noise as in
`experiments.predictor_pretraining`. The first part measures MACs, parameters, latency (one image of 224
pixels, one thread) and three scores at initialization (`experiments.zero_cost`, images of 64 pixels) of
1024 random architectures and of 800 with 250 to 280 M MACs, the band, and writes
``free_statistics.csv.gz``. In the second part, for ten seeds and every choice of statistics, two
predictors learn from 20 to 200 labels in the band and rank 500 other candidates of it (Kendall's tau):

- `ensemble` is the paper's predictor, its encoder pretrained on these statistics of the 1024.
  ``computed`` pretrains on 65 536 architectures instead, as `nars` does, because MACs and parameters are
  computed.
- `process` is a plain Gaussian process that takes them as inputs.

Costs an hour on two cores, most of it measuring. Expected: with 20 labels MACs and parameters raise tau
from .46 to .65 (ensemble) and from .47 to .62 (process); latency and the scores at initialization do not
raise it. Leaves ``free_statistics_tau.csv`` beside this file.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Sequence
from functools import cache, partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from scipy.stats import kendalltau, t

from experiments.resumable import work_through, workers
from experiments.search_benchmark import gaussian_process
from experiments.search_benchmark.problem import Array
from experiments.search_benchmark.tasks import load, ofa
from experiments.search_benchmark.tasks.table import PlainDomain
from nars.space.genotypes import Matrix, sample, to_genotypes

STATISTICS = Path(__file__).with_suffix(".csv.gz")
"""A row of measured statistics per architecture."""

RESULTS = Path(__file__).with_name("free_statistics_tau.csv")
"""A row per predictor, statistics, number of labels and seed."""

TASK = "ofa-imagenet-280M-n0.1"
"""The task of the search benchmark that has truth and labels."""

BAND = (250e6, 280e6)
"""Least and most MACs of the architectures to rank."""

PRETRAINED_ON, LABELLED, TESTED = 1024, 300, 500
"""Architectures to pretrain on, and those in the band to draw labels from and to rank."""

LABELS = (20, 50, 100, 200)
"""Numbers of labels to learn from."""

SIDE, IMAGES = 64, 16
"""Random images that the scores at initialization see: side in pixels, and how many."""

TIMED = 8
"""Forward passes timed per architecture."""

PACKED_EVERY = 50
"""Measured architectures between two writes of `STATISTICS`."""

ZERO_COST = ("gradient_norm", "synaptic_flow", "linear_regions")
"""The scores at initialization."""

SETS: dict[str, tuple[str, ...]] = {
    "none": (),
    "params": ("params",),
    "macs": ("macs",),
    "macs, params": ("macs", "params"),
    "latency": ("latency",),
    **{name: (name,) for name in ZERO_COST},
    "zero-cost": ZERO_COST,
    "macs, params, latency": ("macs", "params", "latency"),
    "all": ("macs", "params", "latency", *ZERO_COST),
}
"""Name -> the statistics that a predictor is given."""

COMPUTED = "macs, params, computed"
"""MACs and parameters of as many architectures as `nars` pretrains on."""


@cache
def bare() -> PlainDomain:
    """The domain without its statistics, because each predictor is given its own."""
    domain = ofa.domain()
    return PlainDomain(domain.distributions, domain.canonical_of)


def architectures() -> tuple[Matrix, Matrix]:
    """Architectures to pretrain on [PRETRAINED_ON, d], and in the band [LABELLED + TESTED, d]."""
    from nars.predictors.encoder import architectures as spread

    drawn = sample(bare(), 40_000, np.random.default_rng(0), quasi=False)
    macs = ofa.statistics(drawn)["macs"]
    inside = drawn[(macs >= BAND[0]) & (macs <= BAND[1])]
    return spread(bare(), PRETRAINED_ON, seed=0), inside[: LABELLED + TESTED]


def measure_one(row: list[float]) -> dict[str, float]:
    """Latency in seconds and the scores at initialization of the architecture of a genotype row [d]."""
    import torch

    from experiments.zero_cost import gradient_norm, linear_regions, synaptic_flow
    from nars.networks.build import build

    torch.set_num_threads(1)
    torch.manual_seed(0)
    (genotype,) = to_genotypes(bare(), np.array([row]))
    model = build(ofa.decode(genotype), 1000).eval()
    images, labels = torch.randn(IMAGES, 3, SIDE, SIDE), torch.randint(1000, (IMAGES,))
    scores = {
        "latency": _latency(model),
        "gradient_norm": gradient_norm(model, images, labels),
        "linear_regions": linear_regions(model, images),
        "synaptic_flow": synaptic_flow(model, SIDE),  # last: it changes the weights
    }
    return {name: float(f"{value:.6g}") for name, value in scores.items()}


def _latency(model: Any) -> float:
    """The shortest of several times in seconds, because other jobs on the machine only add to it."""
    import torch

    image, seconds = torch.zeros(1, 3, 224, 224), []
    with torch.inference_mode():
        for _ in range(TIMED):
            start = time.perf_counter()
            model(image)
            seconds.append(time.perf_counter() - start)
    return min(seconds)


def measure(processes: int) -> pd.DataFrame:
    """Measure what `STATISTICS` lacks; return a row per architecture, in order."""
    every = np.concatenate(architectures())
    rows: list[Any] = pd.read_csv(STATISTICS).to_dict("records") if STATISTICS.exists() else []
    with workers(processes) as pool:
        for row in pool.map(measure_one, every[len(rows) :].tolist()):
            rows.append(row)
            if len(rows) % PACKED_EVERY == 0 or len(rows) == len(every):
                _pack(rows)
                print(f"measured {len(rows)}/{len(every)}", flush=True)
    return pd.DataFrame(rows)


def _pack(rows: Sequence[dict[Any, Any]]) -> None:
    partial_file = STATISTICS.with_suffix(".part")
    pd.DataFrame(rows).to_csv(partial_file, index=False, compression={"method": "gzip", "mtime": 0})
    partial_file.replace(STATISTICS)


class Known:
    """Looks up statistics [n] of measured architectures by name."""

    def __init__(self, table: pd.DataFrame) -> None:
        every = np.concatenate(architectures())
        columns = {**ofa.statistics(every), **{str(name): table[name].to_numpy() for name in table}}
        self.rows = {row.tobytes(): number for number, row in enumerate(every)}
        self.columns = {name: np.asarray(values, np.float64) for name, values in columns.items()}

    def __call__(self, name: str, matrix: Matrix) -> Array:
        return self.columns[name][[self.rows[row.tobytes()] for row in matrix]]


def one_seed(seed: int, data_root: Path) -> list[dict[str, object]]:
    """Fit every predictor with every choice of statistics; return the rows of one seed."""
    import torch

    from nars.predictors.encoder import pretrain, untrained
    from nars.predictors.ensemble import AccuracyPredictor

    torch.set_num_threads(1)
    task, known, rng = load(TASK, data_root), Known(pd.read_csv(STATISTICS)), np.random.default_rng(seed)
    band = architectures()[1]
    order = rng.permutation(LABELLED)
    _, noisy = task.train(band, rng)
    tested, truth = band[LABELLED:], task.truth(band[LABELLED:])
    encoders: dict[str, Any] = {COMPUTED: pretrain(ofa.domain()), "none": untrained(bare(), seed)}
    for name, statistics in SETS.items():
        if statistics:
            targets = {statistic: partial(known, statistic) for statistic in statistics}
            encoders[name] = pretrain(bare(), samples=PRETRAINED_ON, targets=targets)
    rows: list[dict[str, object]] = []

    def add(kind: str, name: str, count: int, predicted: Array) -> None:
        tau = round(float(kendalltau(predicted, truth).statistic), 4)
        rows.append({"predictor": kind, "statistics": name, "labels": count, "seed": seed, "tau": tau})

    for (name,) in (statistics for statistics in SETS.values() if len(statistics) == 1):
        add("alone", name, 0, known(name, tested))
    for count in LABELS:
        x, y = band[order[:count]], noisy[order[:count]]
        for name, encoder in encoders.items():
            model = AccuracyPredictor(bare(), encoder, pretrained=name != "none", seed=seed).fit(x, y)
            add("ensemble", name, count, model.predict(tested))
        for name, statistics in SETS.items():
            add("process", name, count, _process(known, statistics, x, y)(tested))
    print(f"seed {seed} done", flush=True)
    return rows


def _process(known: Known, statistics: Sequence[str], x: Matrix, y: Array) -> Any:
    """A Gaussian process on the encoded architecture and the logarithms of its statistics."""

    def logs(matrix: Matrix) -> Array:
        return np.stack([np.log(known(name, matrix)) for name in statistics], axis=1)

    def groups(matrix: Matrix) -> list[Array]:
        encoded = bare().dimensions.features(matrix).astype(np.float64)
        return [encoded, (logs(matrix) - centre) / spread] if statistics else [encoded]

    if statistics:
        centre, spread = logs(x).mean(axis=0), logs(x).std(axis=0)
    process = gaussian_process.fit(groups(x), y, gaussian_process.fit_hyperparameters(groups(x), y))
    return lambda matrix: process.predict(groups(matrix))


def show() -> None:
    if not RESULTS.exists():
        sys.exit(f"nothing to print: {RESULTS.name} is made without --print")
    table = pd.read_csv(RESULTS)
    seeds = table["seed"].nunique()
    print(f"Kendall's tau in the band; {seeds} seeds, in brackets the gain over none (95 %)")
    alone = table[table["predictor"] == "alone"].groupby("statistics", sort=False)["tau"].first()
    print("without labels: " + ", ".join(f"{name} {tau:.2f}" for name, tau in alone.items()))
    for kind in ("ensemble", "process"):
        mine = table[table["predictor"] == kind]
        wide = mine.pivot_table(index="seed", columns=["statistics", "labels"], values="tau")
        lines = {}
        for name in mine["statistics"].unique():
            cells = {}
            for count in LABELS:
                gain = wide[name][count] - wide["none"][count]
                half = t.ppf(0.975, seeds - 1) * gain.std(ddof=1) / np.sqrt(seeds)
                cells[count] = f"{wide[name][count].mean():.2f} ({gain.mean():+.2f} ± {half:.2f})"
            lines[name] = cells
        print(f"\n{kind}\n{pd.DataFrame(lines).T.to_string()}")


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--data-root", type=Path, default=Path("../shared/data"), help="folder of nas/")
    parser.add_argument("--seeds", type=int, default=10, help="seeds 0 .. N-1")
    parser.add_argument("--processes", type=int, default=2, help="measurements or seeds at once")
    parser.add_argument("--print", dest="only_print", action="store_true", help="only print what is on file")
    options = parser.parse_args()
    if not options.only_print:
        source = options.data_root / "nas" / "ofa_mbv3_imagenet.parquet"
        if not source.exists():
            sys.exit(f"skipped: {source} is not there (see --data-root)")
        measure(options.processes)
        seeds = [(seed,) for seed in range(options.seeds)]
        work_through(
            RESULTS, ("seed",), seeds, partial(one_seed, data_root=options.data_root), options.processes
        )
    show()


if __name__ == "__main__":
    main()
