"""Print the table: AP with intervals, MACs and latency of every row, and the searched one's lead over it.

The interval of an AP is that of other val images and other seeds: both are drawn anew. Differences are
paired: both rows see the same drawn images. ``--latency`` times the detectors of seed 0, on one thread and on
two.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray

from detector.data.records import CocoData
from detector.evaluation.interval import draws, resampled_aps
from detector.evaluation.timing import time_detector
from detector.weights.saved import load_detector
from experiments.detector_folds import SETS, training_images
from experiments.detector_table.detectors import weights_file
from experiments.detector_table.rows import PASSES, ROWS
from experiments.detector_table.run import RESULTS, WORK

SEARCHED = "a400"
"""The row that the others are compared with."""

CPU = torch.device("cpu")

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
        aps = {row.name: _resampled(data, name, row.name, given.work) for row in ROWS if name in row.sets}
        searched = aps.get(SEARCHED, {})
        rows = [_line(data, name, row, own, searched, given) for row, own in aps.items() if own]
        print(
            f"\n{name}: {len(data.train.images)} images, measured on {len(data.val.images)}, {PASSES} passes"
        )
        print(pd.DataFrame(rows).to_string(index=False, na_rep="") if rows else "nothing is trained yet")


def _line(
    data: CocoData, name: str, row: str, aps: Aps, searched: Aps, given: argparse.Namespace
) -> dict[str, Any]:
    """A row of the table."""
    files = [json.loads((RESULTS / f"{name}-{row}-{seed}.json").read_text()) for seed in aps]
    line = {
        "row": row,
        "seeds": len(aps),
        "AP": _with_interval(float(np.mean([file["ap"] for file in files])), _drawn(aps)),
        "AP50": f"{np.mean([file['ap50'] for file in files]):.3f}",
        "M MACs": files[0].get("macs", np.nan) / 1e6,
        "M params": files[0]["params"] / 1e6,
    }
    if searched and row != SEARCHED:
        difference = _drawn(searched) - _drawn(aps)
        line[f"{SEARCHED} minus this"] = _with_interval(float(np.nanmean(difference)), difference)
    file = weights_file(given.work, name, row, 0, PASSES)
    if given.latency and file.exists() and not row.startswith("d_"):
        model = load_detector(file).detector()
        for threads in (1, 2):
            torch.set_num_threads(threads)
            line[f"ms, {threads} threads"] = 1e3 * time_detector(model, data, "val", CPU).median
    return line


def _resampled(data: CocoData, name: str, row: str, work: Path) -> Aps:
    """The AP of every finished seed of a row in the same draws of val images."""
    drawn = draws(len(data.val.images), seed=0)
    found = {}
    for file in sorted(RESULTS.glob(f"{name}-{row}-*.json")):
        seed = int(file.stem.rpartition("-")[2])
        detections = work / "detections" / file.name
        if detections.exists():
            results = json.loads(detections.read_text())
            found[seed] = resampled_aps(data, results, drawn)
    return found


def _drawn(aps: Aps) -> NDArray[np.float64]:
    """The mean AP [R] over seeds that are drawn anew for every draw of images."""
    values = np.stack(list(aps.values()))  # [S, R]
    chosen = np.random.default_rng(1).integers(len(values), size=values.shape)
    mean: NDArray[np.float64] = np.take_along_axis(values, chosen, axis=0).mean(0)
    return mean


def _with_interval(value: float, drawn: NDArray[np.float64]) -> str:
    low, high = np.nanquantile(drawn, [0.025, 0.975])
    return f"{value:.3f} ({low:.3f} to {high:.3f})"


if __name__ == "__main__":
    main()
