"""Counts the candidates a minute of a search on a GPU."""

from __future__ import annotations

import logging
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from optuna.trial import TrialState

import nars
from nars.engines.local import Local

__all__ = ["report_search"]


def report_search(name: str, workers: int, **settings: Any) -> None:
    """Search by `settings` with so many workers, 0 for as many as it chooses, and print what was trained."""
    logging.basicConfig(format="  %(message)s", stream=sys.stdout)
    logging.getLogger("nars.engines").setLevel(logging.INFO)  # how many workers, and whether they share
    with tempfile.TemporaryDirectory() as folder:
        began = time.perf_counter()
        result = nars.search(
            run=Path(folder) / "run", device="cuda", workers=workers or None, engine=Local(), **settings
        )
        whole = time.perf_counter() - began
        trials, best = result.study.get_trials(deepcopy=False), result.summary.to_dict()["best"]
    ends = [each.datetime_complete for each in trials if each.state == TrialState.COMPLETE]
    starts = [each.datetime_start for each in trials if each.datetime_start is not None]
    minutes = (max(filter(None, ends)) - min(starts)).total_seconds() / 60
    print(
        f"  {name}, {workers or 'chosen'} workers: {len(ends)} of {len(trials)} candidates in full, "
        f"{len(ends) / minutes:.1f} a minute from the first start to the last end; {whole:.0f} s in all; "
        f"best {best}",
        flush=True,
    )
