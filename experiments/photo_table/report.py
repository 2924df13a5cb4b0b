"""Print the table: accuracy, balanced accuracy, and the difference from the searched row, paired by photo."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.metrics import balanced_accuracy_score

from experiments.photo_table.run import RESULTS

_DRAWS = 10_000
"""Bootstrap samples of an interval."""


def main() -> None:
    """Print a line for every row that has results."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=Path, default=RESULTS)
    given = parser.parse_args()
    results = [json.loads(file.read_text()) for file in sorted(given.rows.glob("*.json"))]
    with pd.option_context("display.width", 200, "display.max_columns", None):
        print(table(results).to_string(index=False))


def table(results: list[dict[str, Any]]) -> pd.DataFrame:
    """A row for every way and limit, the best within a limit first.

    ``less`` is the accuracy of the searched network minus that of the row in points, on the test photos of
    the resplits that both have, with the 95 % interval of a bootstrap over photos.
    """
    groups: dict[tuple[float, str], dict[int, dict[str, Any]]] = {}
    for result in results:
        groups.setdefault((result["limit"], result["row"]), {})[result["resplit"]] = result
    rows = []
    for (limit, way), runs in groups.items():
        searched = groups.get((limit, "searched"), {})
        common = sorted(runs.keys() & searched.keys()) if way != "searched" else []
        rows.append(
            {
                "limit": f"{limit / 1e6:g}M",
                "row": way,
                "MACs": f"{np.mean([run['macs'] for run in runs.values()]) / 1e6:.1f}M",
                "resplits": len(runs),
                "val": np.mean([run["val"] for run in runs.values()]).round(3),
                "accuracy": _spread([np.mean(_right(run)) for run in runs.values()]),
                "balanced": _spread(
                    [balanced_accuracy_score(run["labels"], run["answers"]) for run in runs.values()]
                ),
                "less": _difference([searched[seed] for seed in common], [runs[seed] for seed in common]),
            }
        )
    frame = pd.DataFrame(rows)
    return frame.sort_values(["limit", "accuracy"], ascending=[True, False]) if len(frame) else frame


def _right(run: dict[str, Any]) -> NDArray[np.float64]:
    right: NDArray[np.float64] = np.equal(run["labels"], run["answers"]).astype(float)
    return right


def _spread(values: list[Any]) -> str:
    """The mean, and the standard deviation over resplits if there are several."""
    sd = f" sd {np.std(values, ddof=1):.3f}" if len(values) > 1 else ""
    return f"{np.mean(values):.3f}{sd}"


def _difference(searched: list[dict[str, Any]], other: list[dict[str, Any]]) -> str:
    if not searched:
        return ""
    pairs = zip(searched, other, strict=True)
    differences = np.concatenate([_right(one) - _right(two) for one, two in pairs])
    rng = np.random.default_rng(0)
    draws = rng.choice(differences, (_DRAWS, len(differences))).mean(axis=1)
    low, high = np.percentile(100 * draws, [2.5, 97.5])
    return f"{100 * differences.mean():+.1f} [{low:+.1f}, {high:+.1f}]"


if __name__ == "__main__":
    main()
