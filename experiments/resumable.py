"""Runs jobs whose results are rows of a CSV. A killed experiment loses only the jobs under way."""

from __future__ import annotations

import signal
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from contextlib import contextmanager
from multiprocessing import active_children, get_context
from pathlib import Path
from typing import Any

import pandas as pd

__all__ = ["work_through", "workers"]


@contextmanager
def workers(processes: int) -> Iterator[ProcessPoolExecutor]:
    """A pool of processes. Ctrl-C discards their work and ends the experiment with exit code 130."""
    with ProcessPoolExecutor(processes, get_context("spawn")) as pool:
        # A terminal signals every process; the workers ignore it from their birth, as their parent does.
        handler = signal.signal(signal.SIGINT, signal.SIG_IGN)
        try:
            for _ in range(processes):
                pool.submit(int)  # starts one of them each, as none has work done so soon
        finally:
            signal.signal(signal.SIGINT, handler)
        try:
            yield pool
        except KeyboardInterrupt:
            for process in active_children():
                process.terminate()
            pool.shutdown(wait=False, cancel_futures=True)
            print("interrupted: the same command goes on", file=sys.stderr)
            raise SystemExit(130) from None


def work_through(
    path: Path,
    key: Sequence[str],
    jobs: Iterable[tuple[Any, ...]],
    work: Callable[..., Sequence[Mapping[str, Any]]],
    processes: int,
) -> None:
    """Append the rows ``work(*job)`` of every job that has no rows in `path`.

    The values of a job are those of the columns `key` in its rows, by which the file is sorted.
    `work` must be picklable.
    """
    rows: list[Any] = pd.read_csv(path).to_dict("records") if path.exists() else []
    done = {tuple(row[name] for name in key) for row in rows}
    with workers(processes) as pool:
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
