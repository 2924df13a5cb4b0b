"""Put mended faults back, one at a time, and see whether the harness finds them.

    python -m experiments.fuzz.mutants --examples 1000

prints a line for each of twenty faults that nars once had: the kind of file, the cases until the first fault
and what that was, or that none was found. The exit code is 1 if fewer than eighteen are found. It takes some
ten minutes on one core.
"""

from __future__ import annotations

import argparse
import io
import math
import sys
from collections.abc import Callable
from contextlib import ExitStack, nullcontext
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
import yaml

from experiments.fuzz.judge import Case, Verdict
from experiments.fuzz.run import KINDS, tally
from experiments.fuzz.worker import Worker

__all__ = ["MUTANTS", "Mutant", "search"]

_LEAST = 18
"""Faults that the harness has to find."""


@dataclass(frozen=True)
class Mutant:
    """A mended fault and how nars behaves with it: attributes by their full names, and what they were."""

    title: str
    kinds: tuple[str, ...]
    attributes: dict[str, Any]


def _same(value: Any, *_: object, **__: object) -> Any:
    return value


def _nothing(*_: object, **__: object) -> None:
    return None


def _open(path: Any) -> Any:
    return Path(path).open("rb")


def _array(archive: Any, entry: Any) -> Any:
    return np.lib.format.read_array(io.BytesIO(archive.read(entry)), allow_pickle=False)


def _text_yaml(text: str, **_: object) -> Any:
    try:
        return yaml.load(text, Loader=yaml.BaseLoader)
    except (yaml.YAMLError, RecursionError) as error:
        raise ValueError(" ".join(str(error).split())) from None


def _named(names: tuple[str, ...], value: Any) -> dict[str, Any]:
    return dict.fromkeys(names, value)


_PRINT = ("nars.foreign.parts", "nars.foreign.names", "nars.cli.console", "nars.cli.data")
"""Modules that print names which others gave."""

MUTANTS = (
    Mutant(
        "pipes and devices are opened as pictures", ("picture",), {"nars.foreign.pictures.open_file": _open}
    ),
    Mutant(
        "the size that a picture states is believed",
        ("picture",),
        {"nars.foreign.pictures._check_size": _nothing},
    ),
    Mutant(
        "names are printed as they are",
        ("class folder", "csv", "yolo"),
        _named(tuple(f"{module}.printable" for module in _PRINT), _same),
    ),
    Mutant(
        "a message is as long as what it quotes",
        ("csv",),
        {"nars.cli.one_line": lambda text: " ".join(text.split())},
    ),
    Mutant(
        "the longest names are searched for the word of a split",
        ("yolo", "csv", "coco"),
        {"nars.foreign.names._LONGEST_SPLIT": 10**9},
    ),
    Mutant("the shape that an array states is believed", ("npz",), {"nars.data.arrays._array": _array}),
    Mutant("run-length codes are not measured", ("coco",), {"detector.data.masks._code_fault": _nothing}),
    Mutant(
        "coordinates of polygons are believed",
        ("coco",),
        {"detector.data.masks.MOST_COORDINATE": math.inf},
    ),
    Mutant("aliases of a data.yaml multiply", ("yolo",), {"nars.foreign.values.load_yaml": _text_yaml}),
    Mutant(
        "the depth of a long YAML file is not counted",
        ("network", "config"),
        {"nars.foreign.limits._check_depth": _nothing},
    ),
    Mutant(
        "what Optuna wrote of a trial is believed",
        ("journal",),
        _named(("nars.trials._check_own_fields", "nars.trials._check_params"), _nothing),
    ),
    Mutant(
        "pictures from elsewhere are copied",
        ("coco",),
        _named(("detector.data.readers.coco.inside", "detector.data.coco.copied"), _same),
    ),
    Mutant("tensors may be larger than their file", ("checkpoint",), {"nars.tensors._check_dense": _nothing}),
    Mutant(
        "fields of a checkpoint are believed",
        ("checkpoint",),
        _named(
            ("nars.networks.weights.damage_named", "detector.weights.saved.damage_named"),
            lambda source: nullcontext(),
        ),
    ),
    Mutant("the curve of a training is believed", ("training",), {"nars.training.checkpoint._plain": dict}),
    Mutant(
        "the sizes of a network are believed",
        ("network", "checkpoint"),
        _named(("nars.spec.architecture.check_network", "detector.model.parts.check_network"), _nothing),
    ),
    Mutant("wrong values are shown whole", ("recipe", "space"), {"nars.documents._shown": repr}),
    Mutant("records of trials are believed", ("journal",), {"nars.runs.run.check": _nothing}),
    Mutant("a shorter journal is not mentioned", ("journal",), {"nars.runs.run.check_complete": _nothing}),
    Mutant(
        "a run's storage may be anywhere",
        ("storage",),
        {"nars.runs.run.Run.permitted": lambda run: run.storage},
    ),
)
"""Twenty faults that were mended."""


def search(mutant: Mutant, examples: int) -> tuple[str | None, int]:
    """Return the first fault that the harness finds, or None, and how many cases it judged."""
    judged = 0
    for name in mutant.kinds:
        kind = replace(KINDS[name], read=partial(_read, mutant, KINDS[name].read))
        with Worker(kind) as worker:
            first = _First(worker.judge)
            tally(kind, examples, 0, first)
        judged += first.cases
        if first.fault is not None:
            return f"{name}: {first.fault}", judged
    return None, judged


class _First:
    """Judges cases until one has a fault, and lets those after it pass."""

    def __init__(self, judge: Callable[[Case], Verdict]) -> None:
        self._judge = judge
        self.fault: str | None = None
        self.cases = 0

    def __call__(self, case: Case) -> Verdict:
        if self.fault is not None:
            return Verdict(None, refused=False, seconds=0.0, memory=0)
        verdict = self._judge(case)
        self.fault, self.cases = verdict.fault, self.cases + 1
        return verdict


def _read(mutant: Mutant, read: Callable[[Path], object], folder: Path) -> object:
    """Read as nars did with the fault, in the process of a worker."""
    with ExitStack() as stack:
        for name, value in mutant.attributes.items():
            stack.enter_context(patch(name, value))
        return read(folder)


def main() -> int:
    """Parse, try every fault, and print a line for each."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--examples", type=int, default=1000, help="most cases of each kind")
    parser.add_argument("--only", help="only faults with this in their titles")
    options = parser.parse_args()
    chosen = [mutant for mutant in MUTANTS if (options.only or "") in mutant.title]
    found = 0
    print("| put back | cases | the harness says |")
    print("|---|---|---|")
    for mutant in chosen:
        fault, cases = search(mutant, options.examples)
        found += fault is not None
        print(f"| {mutant.title} | {cases} | {fault or 'not found'} |", flush=True)
    print(f"{found} of {len(chosen)} found")
    return 0 if found >= min(_LEAST, len(chosen)) else 1


if __name__ == "__main__":
    sys.exit(main())
