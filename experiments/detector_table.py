"""How well do three detectors do on small real data sets, all trained from scratch in the same way?

    OMP_NUM_THREADS=1 python -m experiments.detector_table --data-root ../shared/data      # resumable
    OMP_NUM_THREADS=1 python -m experiments.detector_table --device cuda --processes 6 --workers 1
    OMP_NUM_THREADS=1 python -m experiments.detector_table --measure                       # cost and latency
    python -m experiments.detector_table --print

- ``searched``: `experiments/searched_detector.yaml`, the winner of a search on `digit-scenes`
  (`experiments.detection_search`); its anchors are fitted to the training boxes
- ``dsmask``: `fbnetv3a_dsmask_c4`, Meta's smallest published detector
- ``mobilenet``: torchvision's `fasterrcnn_mobilenet_v3_large_320_fpn`

Data: ``det/bccd`` (github.com/Shenggan/BCCD_Dataset, MIT, 292 + 72 images of blood cells) and
``det/raccoon`` (github.com/datitran/raccoon_dataset, MIT, 157 + 39 images) below the data root, in COCO's
format. All see images of 224 pixels (shorter side; the longer one up to 320) and train with the same
loop, schedule and augmentation, 64 regions per image in the loss, batches of 4. ``--device cuda`` trains
on a GPU, in half precision, in several processes at once. Every finished training is a row of
``detector_table.csv`` beside this file; the same command continues from there. ``--measure`` then times
the trained networks on real images of val, with one thread and with two, the makes in turn: the median of
five rounds.

Costs two hours on two cores. Expected on bccd: an AP of .380 for ``dsmask``, .377 for ``searched`` and
.329 for ``mobilenet``; on raccoon .269, .236 and .283.
"""

from __future__ import annotations

import argparse
import csv
import sys
import time
from concurrent.futures import as_completed
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode
from torchvision.models.detection import fasterrcnn_mobilenet_v3_large_320_fpn

from detector.data import images
from detector.data.check import usable
from detector.data.records import CocoData
from detector.model.detector import Detector
from detector.model.settings import Settings
from detector.training.hyperparameters import Training
from detector.training.loop import Outputs, train
from detector.training.plan import CPU_SETTINGS, plan
from experiments.resumable import workers
from nars.device import resolve
from nars.searching import catalogue

HERE = Path(__file__).parent
"""This folder."""

TABLE, COST = HERE / "detector_table.csv", HERE / "detector_cost.csv"
"""A row per training, and a row per network with what it costs."""

SEARCHED = HERE / "searched_detector.yaml"
"""The winner of `experiments.detection_search`."""

WEIGHTS = Path("build/detector_table")
"""Weights of every training."""

MAKES = ("searched", "dsmask", "mobilenet")
"""The detectors that are compared."""

SIZE = {"shortest": (224,), "longest": 320}
"""Sides in pixels that images are resized to."""

EPOCHS = {"bccd": 8, "raccoon": 8}
"""Data set -> epochs of a training."""

TRAINING = Training(photometric=0.5, jitter=(0.8, 1.2), evaluate_every=100)
"""How all are trained; scored at the end only."""

CPU = torch.device("cpu")
"""Networks are planned and timed here."""

FIELDS = ("set", "make", "seed", "epochs", "device", "ap", "ap50", "seconds_per_epoch")
"""Columns of `TABLE`."""

ROUNDS, IMAGES = 5, 20
"""Rounds of timing, and images in each."""


def build(make: str, data: CocoData, seed: int) -> nn.Module:
    """One of `MAKES` for the classes of `data`, with random weights."""
    torch.manual_seed(seed)
    classes = len(data.classes)
    if make == "mobilenet":
        return mobilenet(classes)
    source = "fbnetv3a_dsmask_c4" if make == "dsmask" else catalogue.candidate(str(SEARCHED)).architecture
    return plan(source, data, CPU, settings=SIZE).build(classes, seed)


def mobilenet(classes: int) -> nn.Module:
    """Torchvision's own detector, with the attributes that the training loop reads."""
    model = fasterrcnn_mobilenet_v3_large_320_fpn(
        weights=None,
        weights_backbone=None,
        num_classes=classes + 1,
        min_size=SIZE["shortest"][0],
        max_size=SIZE["longest"],
        box_batch_size_per_image=CPU_SETTINGS["box_samples"],
        rpn_pre_nms_top_n_train=CPU_SETTINGS["train_candidates"],
        rpn_post_nms_top_n_train=CPU_SETTINGS["train_proposals"],
    )
    model.settings = Settings(resize_in_training=False, **SIZE)
    model.counts = {}
    return cast(nn.Module, model)


@dataclass(frozen=True)
class How:
    """The root of the data, the device, and how many processes load images."""

    root: Path
    device: str
    workers: int
    """Processes that load images, for each training."""


def train_one(name: str, make: str, seed: int, how: How) -> dict[str, Any]:
    """Train one detector on the data set `name`; return its row of `TABLE`."""
    torch.set_num_threads(1)
    training = TRAINING.replace(epochs=EPOCHS[name])
    data = usable(how.root / "det" / name, drop_bad=True)
    model = build(make, data, seed)
    outputs = Outputs(workers=how.workers)
    trained = train(
        cast(Detector, model), data, training, device=resolve(how.device), seed=seed, outputs=outputs
    )
    WEIGHTS.mkdir(parents=True, exist_ok=True)
    torch.save(trained.model.cpu().state_dict(), WEIGHTS / f"{name}-{make}-{seed}.pt")
    scores, seconds = trained.evaluation.boxes, trained.history[-1].seconds / training.epochs
    numbers = round(scores.ap, 4), round(scores.ap50, 4), round(seconds, 1)
    return dict(zip(FIELDS, (name, make, seed, training.epochs, how.device, *numbers), strict=True))


def train_all(how: How, seeds: int, processes: int) -> None:
    """Train what `TABLE` has no row of; rows of other epochs or devices are dropped."""
    rows = pd.read_csv(TABLE).to_dict("records") if TABLE.exists() else []
    rows = [row for row in rows if (row["epochs"], row["device"]) == (EPOCHS[row["set"]], how.device)]
    done = {(row["set"], row["make"], row["seed"]) for row in rows}
    jobs = [(name, make, seed) for seed in range(seeds) for name in EPOCHS for make in MAKES]
    left = [job for job in jobs if job not in done]
    with workers(processes) as pool:
        for future in as_completed([pool.submit(train_one, *job, how) for job in left]):
            rows.append(future.result())
            print(rows[-1], flush=True)
            with TABLE.open("w", newline="") as file:
                writer = csv.DictWriter(file, FIELDS, lineterminator="\n")
                writer.writeheader()
                writer.writerows(sorted(rows, key=lambda row: (row["set"], row["make"], row["seed"])))


def measure_all(root: Path) -> None:
    """Write `COST`: parameters, MACs on one image and latencies of the networks trained with seed 0."""
    rows = []
    for name in EPOCHS:
        data = usable(root / "det" / name, drop_bad=True)
        pictures = [images.load(data.val, record).float() / 255 for record in data.val.images[:IMAGES]]
        models = {}
        for make in MAKES:
            file = WEIGHTS / f"{name}-{make}-0.pt"
            if file.exists():
                models[make] = build(make, data, 0).eval().to(memory_format=torch.channels_last)
                models[make].load_state_dict(torch.load(file, weights_only=True))
        latencies = {threads: _latencies(models, pictures, threads) for threads in (1, 2)}
        for make, model in models.items():
            with torch.no_grad(), FlopCounterMode(display=False) as counter:
                model([pictures[0]])
            rows.append(
                {
                    "set": name,
                    "make": make,
                    "params": sum(parameter.numel() for parameter in model.parameters()),
                    "macs": counter.get_total_flops() // 2,
                    **{f"ms_{threads}": round(1e3 * found[make], 1) for threads, found in latencies.items()},
                    **{f"{part}_ms": round(1e3 * seconds, 1) for part, seconds in _parts(model, pictures)},
                }
            )
    pd.DataFrame(rows).to_csv(COST, index=False)


@torch.no_grad()
def _latencies(models: dict[str, nn.Module], pictures: list[Tensor], threads: int) -> dict[str, float]:
    """Median seconds per image, by make."""
    torch.set_num_threads(threads)
    seconds: dict[str, list[float]] = {make: [] for make in models}
    for _ in range(ROUNDS):
        for make, model in models.items():
            for picture in pictures:
                started = time.perf_counter()
                model([picture])
                seconds[make].append(time.perf_counter() - started)
    return {make: float(np.median(found)) for make, found in seconds.items()}


@torch.no_grad()
def _parts(model: nn.Module, pictures: list[Tensor]) -> list[tuple[str, float]]:
    """Median seconds per image of trunk, proposals and heads, on one thread."""
    torch.set_num_threads(1)
    found = []
    for part in ("backbone", "rpn", "roi_heads"):
        seconds: list[float] = []
        module = model.get_submodule(part)
        before = module.register_forward_pre_hook(lambda *_, to=seconds: to.append(-time.perf_counter()))
        after = module.register_forward_hook(lambda *_, to=seconds: to.append(to.pop() + time.perf_counter()))
        for picture in pictures:
            model([picture])
        before.remove()
        after.remove()
        found.append((part, float(np.median(seconds))))
    return found


def show() -> None:
    table = pd.read_csv(TABLE)
    by = table.groupby(["set", "make"])
    found = by.agg(
        seeds=("seed", "count"),
        ap=("ap", "mean"),
        ap_low=("ap", "min"),
        ap_high=("ap", "max"),
        ap50=("ap50", "mean"),
        seconds_per_epoch=("seconds_per_epoch", "mean"),
    ).reset_index()
    if COST.exists():
        found = found.merge(pd.read_csv(COST), how="left")
    print(found.to_string(index=False, float_format=lambda value: f"{value:.3f}"))


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--data-root", type=Path, default=Path("../shared/data"), help="folder of det/")
    parser.add_argument("--seeds", type=int, default=3, help="seeds 0 .. N-1")
    parser.add_argument("--processes", type=int, default=2, help="trainings at once")
    parser.add_argument("--workers", type=int, default=0, help="processes per training that load images")
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu", help="where to train")
    parser.add_argument("--measure", action="store_true", help="cost and latency of trained networks")
    parser.add_argument("--print", dest="only_print", action="store_true", help="only print what is on file")
    options = parser.parse_args()
    if options.only_print:
        show()
        return
    missing = [name for name in EPOCHS if not (options.data_root / "det" / name).exists()]
    if missing:
        sys.exit(f"skipped: {', '.join(missing)} not below {options.data_root / 'det'} (see --data-root)")
    if options.measure:
        measure_all(options.data_root)
    else:
        how = How(options.data_root, options.device, options.workers)
        train_all(how, options.seeds, options.processes)
    show()


if __name__ == "__main__":
    main()
