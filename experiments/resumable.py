"""Jobs whose results are rows of a CSV: a killed experiment loses what was under way, and no more."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import pandas as pd

__all__ = ["work_through"]


def work_through(
    path: Path,
    key: Sequence[str],
    jobs: Iterable[tuple[Any, ...]],
    work: Callable[..., Sequence[Mapping[str, Any]]],
    processes: int,
) -> None:
    """Append the rows ``work(*job)`` of every job that has none in `path`, which is sorted by `key`.

    A job's values are those of the columns `key` in its rows; `work` must be picklable.
    """
    rows = pd.read_csv(path).to_dict("records") if path.exists() else []
    done = {tuple(row[name] for name in key) for row in rows}
    with ProcessPoolExecutor(processes, mp_context=get_context("spawn")) as pool:
        futures = [pool.submit(work, *job) for job in jobs if job not in done]
        for count, future in enumerate(as_completed(futures), start=1):
            rows += [dict(row) for row in future.result()]
            print(
                f"{count}/{len(futures)}",
                ", ".join(f"{key} {value}" for key, value in rows[-1].items()),
                flush=True,
            )
            partial = path.with_suffix(".part")
            pd.DataFrame(rows).sort_values(list(key), kind="stable").to_csv(partial, index=False)
            partial.replace(path)
