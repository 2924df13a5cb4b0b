"""Judge many hostile cases of every kind, and print what they did.

    python -m experiments.fuzz --examples 2000                            the same cases each time
    python -m experiments.fuzz --examples 2000 --results FILE.csv         a row for each 250 cases; resumable
    python -m experiments.fuzz --table FILE.csv                           the rows as a table

takes one to two hours on one core; the exit code is 1 if there is a fault.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

import pandas as pd

from experiments.fuzz.run import KINDS, Tally, tally
from experiments.fuzz.worker import Worker

_PART = 250
"""Cases of a row of the results; a run that was stopped loses at most these."""


def main() -> int:
    """Parse, judge, print a line per kind and every fault with its smallest case."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--examples", type=int, default=2000, help="cases of each kind")
    parser.add_argument("--seed", type=int, default=0, help="the seed of the first part")
    parser.add_argument(
        "--kind", action="append", choices=list(KINDS), help="only this kind; may be repeated"
    )
    parser.add_argument("--results", type=Path, help="CSV to which rows are added, and whose rows are kept")
    parser.add_argument("--table", type=Path, help="only print the table of such a CSV")
    parser.add_argument("--verbose", action="store_true", help="print the traceback of each fault")
    options = parser.parse_args()
    rows: list[Any] = []
    known = options.table or options.results
    if known is not None and known.exists():
        rows = pd.read_csv(known).to_dict("records")
    if options.table is None:
        _judge_all(options, rows)
    print(_table(rows))
    return 1 if any(row["faults"] for row in rows) else 0


def _judge_all(options: argparse.Namespace, rows: list[dict[str, Any]]) -> None:
    """Add a row for each part of a kind that has none."""
    done = {(row["kind"], row["seed"]) for row in rows}
    for name in options.kind or KINDS:
        for part in range(0, options.examples, _PART):
            seed = options.seed + part // _PART
            if (name, seed) in done:
                continue
            with Worker(KINDS[name]) as worker:
                result = tally(KINDS[name], min(_PART, options.examples - part), seed, worker.judge)
            rows.append(_row(result, seed))
            print(", ".join(f"{key} {value}" for key, value in rows[-1].items()), file=sys.stderr, flush=True)
            _print_faults(result, verbose=options.verbose)
            if options.results is not None:
                partial = options.results.with_suffix(".part")
                pd.DataFrame(rows).to_csv(partial, index=False)
                partial.replace(options.results)


def _row(result: Tally, seed: int) -> dict[str, Any]:
    return {
        "kind": result.kind,
        "seed": seed,
        "cases": result.cases,
        "refused": result.refused,
        "faults": sum(result.faults.values()),
        "seconds": round(result.seconds, 1),
        "megabytes": result.memory // 2**20,
    }


def _print_faults(result: Tally, *, verbose: bool) -> None:
    for fault, count in result.faults.most_common():
        case, details = result.examples[fault]
        print(f"    {count} x {fault}", file=sys.stderr)
        if verbose:
            shown = {path: text[:300] for path, text in case.items() if not text.startswith(b"\x89PNG")}
            print(shown, details[-1500:], sep="\n", file=sys.stderr, flush=True)


def _table(rows: list[dict[str, Any]]) -> str:
    """Return a line for each kind: sums of cases and faults, and the worst time and memory of a case."""
    lines = [
        "| kind | cases | refused in a line | faults | slowest, s | most memory, MB |",
        "|---|---|---|---|---|---|",
    ]
    for name in dict.fromkeys(row["kind"] for row in rows):
        own = [row for row in rows if row["kind"] == name]
        cases, refused, faults = (sum(row[key] for row in own) for key in ("cases", "refused", "faults"))
        seconds, memory = (max(row[key] for row in own) for key in ("seconds", "megabytes"))
        lines.append(f"| {name} | {cases} | {refused} | {faults} | {seconds:.1f} | {memory} |")
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
