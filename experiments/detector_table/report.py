"""Print the table: AP with intervals, MACs and latency of every row, and a searched one's lead over it.

The interval of an AP is that of other val images and other seeds: both are drawn anew. A single seed tells
nothing about others, so a star marks its intervals, which are those of other images only. Differences are
paired: both rows see the same drawn images, and only the seeds that both have count. ``--latency`` times the
detectors of seed 0 that are still below ``--work`` on one val image, on one thread and on two: in turn, so
that all meet the same disturbances, with the median of some rounds and the range that half of them are in. It
takes some six minutes.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from torch import nn

from detector.data.records import CocoData
from detector.evaluation.timing import time_detector
from detector.weights.saved import load_detector
from experiments.detector_folds import SETS, training_images
from experiments.detector_table.detectors import weights_file
from experiments.detector_table.rows import RESULTS, ROWS, SEEDS, Row, passes_over
from experiments.detector_table.run import WORK
from experiments.detector_table.torchvision_rows import untrained

CPU = torch.device("cpu")

ROUNDS = 12
"""How often every detector is timed, for two seconds each."""

Aps = dict[int, NDArray[np.float64]]
"""By seed the AP [R] of each draw of images."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data-root", type=Path, default=Path("../shared/data"), help="folder of det/")
    parser.add_argument("--work", type=Path, default=WORK, help="folder of weights, detections and searches")
    parser.add_argument("--latency", action="store_true", help="time the detectors, too")
    given = parser.parse_args()
    for name in SETS:
        data = training_images(given.data_root, name)
        aps = {row.name: _resampled(name, row.name) for row in ROWS if name in row.sets}
        rows = [_line(name, row, aps) for row in ROWS if aps.get(row.name)]
        if given.latency:
            times = _latencies(data, name, [row["row"] for row in rows], given.work)
            rows = [row | times[row["row"]] for row in rows]
        images = len(data.train.images)
        others = len(data.val.images)
        print(f"\n{name}: {images} images, {passes_over(images)} passes, measured on {others} others")
        print(pd.DataFrame(rows).to_string(index=False, na_rep="") if rows else "nothing is trained yet")


def _line(name: str, row: Row, aps: Mapping[str, Aps]) -> dict[str, Any]:
    """A row of the table."""
    own, searched = aps[row.name], aps.get(row.beside, {})
    leads = {seed: searched[seed] - own[seed] for seed in own if seed in searched}
    files = [_scores(name, row.name, seed) for seed in own]
    line = {
        "row": row.name,
        "seeds": f"{len(own)} of {len(SEEDS)}",
        "AP": _with_interval(_mean(files, "ap"), own),
        "AP50": f"{_mean(files, 'ap50'):.3f}",
        "M MACs": files[0].get("macs", np.nan) / 1e6,
        "M params": files[0]["params"] / 1e6,
    }
    if leads and row.name != row.beside:
        ahead, behind = ([_scores(name, each, seed) for seed in leads] for each in (row.beside, row.name))
        line[f"{row.beside} minus this"] = _with_interval(_mean(ahead, "ap") - _mean(behind, "ap"), leads)
    return line


def _latencies(data: CocoData, name: str, rows: Sequence[str], work: Path) -> dict[str, dict[str, str]]:
    """The columns of latency of every row, empty for detectors that are not there."""
    models = {row: model for row in rows if (model := _detector(data, name, row, work)) is not None}
    columns: dict[str, dict[str, str]] = {row: {} for row in rows}
    for threads in (1, 2):
        torch.set_num_threads(threads)
        rounds = [
            [1e3 * time_detector(model, data, "val", CPU).median for model in models.values()]
            for _ in range(ROUNDS)
        ]
        ends = np.quantile(rounds, [0.25, 0.5, 0.75], axis=0).T
        for row, (low, middle, high) in zip(models, ends, strict=True):
            columns[row][f"ms, {threads} threads"] = f"{middle:.0f} ({low:.0f} to {high:.0f})"
    return columns


def _detector(data: CocoData, name: str, row: str, work: Path) -> nn.Module | None:
    """A row's detector of the first seed; None if its weights are not there."""
    file = weights_file(work, name, row, SEEDS[0])
    if not file.exists():
        return None
    if not row.startswith("d_"):
        return load_detector(file).detector()
    model = untrained(row, len(data.classes))
    model.load_state_dict(torch.load(file, CPU, weights_only=True))
    return model


def _scores(name: str, row: str, seed: int) -> dict[str, Any]:
    """The scores of the training of a row with a seed."""
    scores: dict[str, Any] = json.loads((RESULTS / f"{name}-{row}-{seed}.json").read_text())
    return scores


def _mean(files: Sequence[Mapping[str, Any]], field: str) -> float:
    return float(np.mean([file[field] for file in files]))


def _resampled(name: str, row: str) -> Aps:
    """The AP of every finished seed of a row in the same draws of val images."""
    seeds = sorted(int(file.stem.rpartition("-")[2]) for file in RESULTS.glob(f"{name}-{row}-*.json"))
    return {seed: np.array(_scores(name, row, seed)["drawn_aps"]) for seed in seeds}


def _drawn(aps: Aps) -> NDArray[np.float64]:
    """The mean AP [R] over seeds that are drawn anew for every draw of images."""
    values = np.stack(list(aps.values()))  # [S, R]
    chosen = np.random.default_rng(1).integers(len(values), size=values.shape)
    mean: NDArray[np.float64] = np.take_along_axis(values, chosen, axis=0).mean(0)
    return mean


def _with_interval(value: float, aps: Aps) -> str:
    low, high = np.nanquantile(_drawn(aps), [0.025, 0.975])
    return f"{value:.3f} ({low:.3f} to {high:.3f}){'*' if len(aps) == 1 else ''}"


if __name__ == "__main__":
    main()
