"""Trains random candidates of the `micro` space and writes every number into a table.

    python -m experiments.joint_table.train micro-digits
    python -m experiments.joint_table.train micro-fashion --data-root ../shared/data
    python -m experiments.joint_table.train micro-digits --device cuda --processes 12

Architecture and recipe of 600 candidates are drawn together and uniformly. A tenth of the candidates is
trained a second time with another seed, which shows the noise. Runs one process per core with one thread
each. Costs hours on two cores. Expected: a median accuracy of .98 (digits) and .72 (Fashion-MNIST).

The same command continues a killed run: rows are appended as trainings finish, and ``NAME.csv.gz`` beside
this file is written whole every `PACKED_EVERY` rows and at the end. A run on another machine continues
from that file.

Columns: ``index`` of the candidate, every dimension of its genotype, ``seed``, ``at_0.125`` to ``at_1``
(validation accuracy in 0..1 after these parts of its epochs; 0.125 is the first epoch of short
trainings), ``accuracy`` (the last of them), ``macs``, ``params``, ``seconds``. A candidate that cannot be
trained has the accuracy of guessing, 1/10.
"""

from __future__ import annotations

import argparse
import gzip
import io
import os
import sys
from collections.abc import Sequence
from concurrent.futures import as_completed
from functools import cache
from pathlib import Path

import numpy as np
import pandas as pd

from experiments.joint_table import CANDIDATES, FRACTIONS, TABLES, table_space
from experiments.resumable import workers
from nars.errors import NarsError
from nars.space.genotypes import Matrix, sample, to_genotypes

__all__ = ["candidates", "images", "main", "train_one"]

FOLDER = Path(__file__).parent
"""Finished tables."""

WORK = Path(__file__).parents[2] / "build" / "joint_table"
"""Rows of unfinished tables."""

DATA_ROOT = Path(__file__).parents[3] / "shared" / "data"
"""Data sets, a sibling of the repository by default."""

PACKED_EVERY = 20
"""Trainings between two writes of the compressed table."""

_THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
"""Environment variables that set the threads of a process."""

_REPEATED = 10
"""One candidate in so many has a second seed."""

Value = str | float | int | bool
"""A cell of the table."""


def candidates(count: int) -> Matrix:
    """The first `count` candidates of every table [count, d]; a larger `count` only appends."""
    drawn = [
        sample(table_space(), 100, np.random.default_rng(i), quasi=False) for i in range(-(-count // 100))
    ]
    return np.concatenate(drawn)[:count]


def train_one(name: str, index: int, seed: int, data_root: Path, device: str) -> dict[str, Value]:
    """Train one candidate and return its row. Imports torch here, so that only workers load it."""
    import torch

    from nars.device import resolve
    from nars.errors import TrialError
    from nars.tasks.classification import Classification

    torch.set_num_threads(1)
    space = table_space()
    matrix = candidates(index + 1)[-1:]
    (genotype,) = to_genotypes(space, matrix)
    task = Classification(images(name, data_root), resolve(device))
    try:
        outcome = task.run(space.decode(genotype), seed=seed)
        curve, seconds = outcome.curve, outcome.seconds
    except TrialError as error:
        print(f"{name} {index}: {error}", file=sys.stderr)
        curve, seconds = ((1.0, 0.1),), 0.0
    cost = space.cost(matrix)
    return {
        "index": index,
        **genotype,
        "seed": seed,
        **{f"at_{fraction:g}": round(_at(curve, fraction), 6) for fraction in FRACTIONS},
        "accuracy": round(curve[-1][1], 6),
        "macs": int(cost.macs[0]),
        "params": int(cost.params[0]),
        "seconds": round(seconds, 2),
    }


def _at(curve: Sequence[tuple[float, float]], fraction: float) -> float:
    """Accuracy at the last epoch within `fraction` of the training, or at the first if none is."""
    ended = [accuracy for done, accuracy in curve if done <= fraction + 1e-9]
    return ended[-1] if ended else curve[0][1]


@cache
def images(name: str, data_root: Path):  # type: ignore[no-untyped-def]  # nars.data imports torch
    """The `ImageData` of a table: the part of its source that is trained and measured on."""
    from nars.data import load
    from nars.data.arrays import from_arrays

    table = TABLES[name]
    path = data_root / table.source
    source = path if path.suffix == ".npz" else table.source
    if table.images is None:
        return load(source)
    load(source)  # checks the file
    with np.load(path) as file:
        arrays = {key: file[key] for key in file if key != "classes"}
        classes = file["classes"].astype(str)
    labels = arrays["y_train"]
    per_class = table.images // len(classes)
    first = np.sort(np.concatenate([np.flatnonzero(labels == c)[:per_class] for c in range(len(classes))]))
    kept = {"train": first, "val": slice(table.measured)}
    names = [(f"{kind}_{split}", part) for split, part in kept.items() for kind in "xy"]
    parts = {name: arrays[name][part] for name, part in names}
    return from_arrays(name, arrays | parts, classes)


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("table", choices=TABLES)
    parser.add_argument("--count", type=int, default=CANDIDATES, help="distinct candidates")
    parser.add_argument("--data-root", type=Path, default=DATA_ROOT, help="folder of cls/")
    parser.add_argument("--processes", type=int, default=os.cpu_count(), help="trainings at once")
    parser.add_argument("--device", default="cpu", help="cpu or cuda, the same for a whole table")
    parser.add_argument("--work", type=Path, default=WORK, help="folder of unfinished tables")
    parser.add_argument("--out", type=Path, default=FOLDER, help="folder of finished tables")
    options = parser.parse_args(arguments)
    rows = options.work / f"{options.table}.csv"
    jobs = [(index, 0) for index in range(options.count)]
    jobs += [(index, 1) for index in range(0, options.count, _REPEATED)]
    target = options.out / f"{options.table}.csv.gz"
    if not rows.exists() and target.exists():
        rows.parent.mkdir(parents=True, exist_ok=True)
        rows.write_bytes(gzip.decompress(target.read_bytes()))
    done = _finished(rows)
    todo = [job for job in jobs if job not in done]
    os.environ.update(dict.fromkeys(_THREADS, "1"))  # workers read it when they import numpy
    with workers(options.processes) as pool:
        shared = options.data_root, options.device
        futures = [pool.submit(train_one, options.table, *job, *shared) for job in todo]
        for count, future in enumerate(as_completed(futures), start=1):
            row = future.result()
            pd.DataFrame([row]).to_csv(rows, mode="a", header=not rows.exists(), index=False)
            what = f"{options.table} {row['index']}.{row['seed']}"
            print(f"{count}/{len(todo)} {what}: {row['accuracy']} in {row['seconds']} s", flush=True)
            if count % PACKED_EVERY == 0:
                _pack(rows, target, options.count)
    _pack(rows, target, options.count)
    return 0


def _finished(path: Path) -> set[tuple[int, int]]:
    """Index and seed of finished trainings; a last line that a kill cut short is removed from the file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if not path.exists():
        return set()
    text = path.read_text()
    whole = text[: text.rfind("\n") + 1]
    if whole != text:
        path.write_text(whole)
    table = pd.read_csv(io.StringIO(whole), usecols=["index", "seed"])
    return set(zip(table["index"].tolist(), table["seed"].tolist(), strict=True))


def _pack(rows: Path, target: Path, count: int) -> None:
    table = pd.read_csv(rows, keep_default_na=False).sort_values(["index", "seed"])
    text = table[table["index"] < count].to_csv(index=False)
    partial = target.with_suffix(".part")
    partial.write_bytes(gzip.compress(text.encode(), mtime=0))
    partial.replace(target)


if __name__ == "__main__":
    try:
        sys.exit(main())
    except NarsError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(2)
