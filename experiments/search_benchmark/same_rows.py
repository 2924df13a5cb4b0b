"""Are the searches of two folders of rows the same, candidate by candidate as far as their curves tell?

    python -m experiments.search_benchmark.run --only toy macro nars --seeds 2 --budgets 64 --out build/again
    python -m experiments.search_benchmark.same_rows build/again

Compares every row of the folder with the committed one of the same task, opponent and seed, up to the smaller
of their budgets, and prints the first training after which they differ. Exit code 1 if any does. A change of
the sampler that is meant to change nothing is shown by rows that its parent made on the same machine: on
another processor the last bit of a prediction may differ, and then everything after it (README,
Reproducibility).
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from experiments.search_benchmark.run import RESULTS, Row, read_rows

__all__ = ["differs_at"]


def differs_at(row: Row, other: Row) -> int | None:
    """The first training, up to the smaller budget, at which only one curve improves or to another value."""
    budget = min(row.budget, other.budget)
    one, two = ({int(n): v for n, v in _pairs(r) if int(n) <= budget} for r in (row, other))
    different = [n for n in sorted({*one, *two}) if one.get(n) != two.get(n)]
    return different[0] if different else None


def _pairs(row: Row) -> list[tuple[str, str]]:
    return [(n, value) for n, _, value in (pair.partition(":") for pair in row.curve.split())]


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m experiments.search_benchmark.same_rows",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("folder", type=Path, help="folder of CSVs, one per task")
    parser.add_argument("--results", type=Path, default=RESULTS, help="folder to compare with")
    options = parser.parse_args(arguments)
    compared = different = 0
    for path in sorted(options.folder.glob("*.csv")):
        known = {(row.opponent, row.seed): row for row in read_rows(options.results / path.name)}
        for row in read_rows(path):
            if (other := known.get((row.opponent, row.seed))) is None:
                continue
            at = differs_at(row, other)
            compared, different = compared + 1, different + (at is not None)
            verdict = "equal" if at is None else f"differs from training {at} on"
            budget = min(row.budget, other.budget)
            print(f"{path.stem} {row.opponent} seed {row.seed}, {budget} trainings: {verdict}")
    print(f"{compared - different} of {compared} equal")
    return int(different > 0 or compared == 0)


if __name__ == "__main__":
    sys.exit(main())
