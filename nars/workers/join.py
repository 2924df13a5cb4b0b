"""Joining a search as one more worker process, from this machine or another."""

from __future__ import annotations

import os
import signal
import threading
import time

import optuna

from nars import tasks
from nars.errors import RunError, UsageError
from nars.searching.run import config_of
from nars.searching.storage import open_storage
from nars.workers.search import Search
from nars.workers.worker import work

__all__ = ["join"]

_PARENT_SECONDS = 0.5
"""Seconds between two looks at whether the process that started a worker is still there."""


def join(storage: str, name: str, *, data: str | None, device: str, parent: int | None) -> None:
    """Work on the study called `name` as one more process, until the budget is spent.

    `data` says where the data is on this machine, if elsewhere than on the first. With a `parent`
    (a process number), the work ends when that process does. Raises `UsageError`, `RunError`.
    """
    opened = open_storage(storage)
    try:
        study = optuna.load_study(study_name=name, storage=opened, sampler=optuna.samplers.RandomSampler())
    except KeyError:
        known = ", ".join(sorted(optuna.get_all_study_names(opened))) or "none"
        raise UsageError(f"no study {name!r} in {storage}; there: {known}") from None
    config = config_of(study)
    signal.signal(signal.SIGTERM, _terminate)
    if parent is not None:
        threading.Thread(target=_end_with, args=(parent,), daemon=True).start()
    task = tasks.load(config.task, data or config.data, device, drop_bad=config.drop_bad)
    if task.fingerprint != config.data_fingerprint:
        raise RunError(f"the data at {data or config.data} is not that of study {name}")
    work(Search.of(study, config, task), study)


def _terminate(number: int, frame: object) -> None:
    """End on a signal; a second one is ignored, so the trial is returned only once."""
    signal.signal(number, signal.SIG_IGN)
    raise SystemExit(128 + number)


def _end_with(parent: int) -> None:
    """End this process, its trial returned, when its parent is gone."""
    while os.getppid() == parent:
        time.sleep(_PARENT_SECONDS)
    os.kill(os.getpid(), signal.SIGTERM)
