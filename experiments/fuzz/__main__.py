"""Judge many hostile cases of every kind, and print what they did.

    python -m experiments.fuzz --examples 2000

takes about an hour on one core; the exit code is 1 if there is a fault.
"""

from __future__ import annotations

import argparse
import sys

from experiments.fuzz.run import KINDS, tally
from experiments.fuzz.worker import Worker


def main() -> int:
    """Parse, judge, print a line per kind and every fault with its smallest case."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--examples", type=int, default=2000, help="cases of each kind")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument(
        "--kind", action="append", choices=list(KINDS), help="only this kind; may be repeated"
    )
    parser.add_argument("--verbose", action="store_true", help="print the traceback of each fault")
    options = parser.parse_args()
    wrong = 0
    print("| kind | cases | refused in a line | faults | slowest, s | most memory, MB |")
    print("|---|---|---|---|---|---|")
    for name in options.kind or KINDS:
        with Worker(KINDS[name]) as worker:
            result = tally(KINDS[name], options.examples, options.seed, worker.judge)
        faults = sum(result.faults.values())
        wrong += faults
        print(
            f"| {name} | {result.cases} | {result.refused} | {faults} | {result.seconds:.1f} "
            f"| {result.memory / 2**20:.0f} |",
            flush=True,
        )
        for fault, count in result.faults.most_common():
            case, details = result.examples[fault]
            print(f"    {count} x {fault}", file=sys.stderr)
            if options.verbose:
                shown = {path: text[:300] for path, text in case.items() if not text.startswith(b"\x89PNG")}
                print(shown, details[-1500:], sep="\n", file=sys.stderr)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
