"""How one more worker process, on this machine or another, joins a search."""

from __future__ import annotations

import logging
import signal
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import optuna
from optuna.study import Study

from nars.artifacts.location import store_of_worker
from nars.errors import DataError, RunError, StorageAwayError, UsageError
from nars.foreign.parts import counted
from nars.parallel.launcher import end_with
from nars.runs.code import code_version
from nars.runs.continuing import with_way_on
from nars.runs.location import check_exists
from nars.runs.passwords import complete
from nars.runs.reference import charged
from nars.runs.run import config_of
from nars.runs.storage import open_storage
from nars.studies import code_version_of, config_text, data_description
from nars.tasks.base import Task
from nars.training.metrics import check_repeated
from nars.workers.search import Search
from nars.workers.worker import work

__all__ = ["join"]

logger = logging.getLogger(__name__)

_LOOK_SECONDS = 0.5
"""Time between two looks whether data are back."""

_READERS = ("nars.data.decoding", "nars.data.pictures", "detector.data.check")
"""Loggers that say what is left out of data when they are read."""

_SHOWN = 3
"""Images that were left out which a message names."""

_DATA_SECONDS = 3600.0
"""Longest time that a worker waits for data that are gone."""


def join(
    storage: str,
    name: str,
    *,
    data: str | None,
    device: str,
    parent: int | None,
    artifacts: str | None = None,
    metric: str | None = None,
) -> None:
    """Work on the study called `name` as one more process, until the budget is spent.

    `data` is the location of the data on this machine, by default that of the search; `artifacts` is the
    store of weights and checkpoints, by default the one that the study records. With a `parent` (a process
    number), the work ends when that process does. A search that is scored by a user's function needs its
    name as `metric`, since only then is its code run. Raises `UsageError`, `DataError`, `RunError`.
    """
    if parent is None:  # that of a search was there, and may be away
        check_exists(storage, f"study {name}")
    opened = open_storage(complete(storage), patient=parent is not None)
    try:
        study = optuna.load_study(study_name=name, storage=opened, sampler=optuna.samplers.RandomSampler())
    except KeyError:
        summaries = optuna.get_all_study_summaries(opened, include_best_trial=False)
        names = ", ".join(sorted(each.study_name for each in summaries if config_text(each))) or "none"
        raise UsageError(f"no study {name!r} in {storage}; there: {names}") from None
    config = config_of(study)
    check_repeated(config.metric, metric, f"study {name}")
    store = store_of_worker(study, storage, artifacts)
    signal.signal(signal.SIGTERM, _terminate if parent is not None else _terminate_aloud)
    if parent is not None:
        end_with(parent)
        for name_of in _READERS:  # the process that started this one has read the same data
            logging.getLogger(name_of).setLevel(logging.ERROR)
    _check_code(study)
    spent = charged(config.total, study).progress(study.get_trials(deepcopy=False))
    logger.info("joined %s; %.0f%% of its budget of %s is spent", name, 100 * spent, config.total)
    source = data or config.data
    is_file = Path(source).exists()
    while True:
        task = config.open_task(data, device)
        if not task.is_of(config.data_fingerprint):
            remedy = "give the same with --data" if data else "bring back those that it was started with"
            difference = _difference(study, task, remedy)
            raise RunError(f"the data at {source} are not those of study {name}: {difference}")
        try:
            return work(Search.of(study, config, task, store), study, alone=parent is None)
        except (DataError, OSError) as error:
            if not is_file:
                raise
            if Path(source).exists():
                raise _with_way_on(error, name, storage) from None
            logger.warning("the data at %s are gone: %s; waiting for them", source, error)
            _wait_for(Path(source))


def _with_way_on(error: DataError | OSError, name: str, storage: str) -> DataError | OSError:
    """The error of a worker whose data are there but for an image, with a way on for the search."""
    if not isinstance(error, DataError):
        return error
    folder = str(Path(storage).parent) if storage.endswith(".journal") else "RUN"
    return with_way_on(error, f"study {name}", folder)


def _check_code(study: Study) -> None:
    """Raise `RunError` if the search is run by other code than this, whose scores may differ."""
    theirs, ours = code_version_of(study), code_version()
    if theirs not in (None, ours):
        raise RunError(
            f"study {study.study_name} is run by nars {theirs}, this worker is {ours}: install the same"
        )


def _difference(study: Study, task: Task, remedy: str) -> str:
    """A clause that says what the data of a study are, and what these are, without which images."""
    theirs, ours, without = data_description(study), task.describe(), _without(task.left_out())
    if theirs is None:
        return f"these are {ours}{without}"
    if theirs == ours:
        return f"both are {ours}{without}, but images or labels differ; copy the same files"
    return f"it has {theirs}; these are {ours}{without}; {remedy}"


def _without(left_out: Sequence[str]) -> str:
    """A clause with the first few images that were left out."""
    if not left_out:
        return ""
    more = f" and {len(left_out) - _SHOWN} more" if len(left_out) > _SHOWN else ""
    return f", without {counted(len(left_out), 'image')} ({'; '.join(left_out[:_SHOWN])}{more})"


def _wait_for(source: Path) -> None:
    """Wait until data are back. Raises `StorageAwayError` after an hour."""
    began = time.monotonic()
    while not source.exists():
        if time.monotonic() - began > _DATA_SECONDS:
            raise StorageAwayError(f"the data at {source} are gone for {_DATA_SECONDS / 60:.0f} minutes")
        time.sleep(_LOOK_SECONDS)


def _terminate(number: int, frame: object) -> None:
    """Exit on a signal; later ones are ignored, so the trial is returned exactly once."""
    signal.signal(number, signal.SIG_IGN)
    raise SystemExit(128 + number)


def _terminate_aloud(number: int, frame: object) -> None:
    """Say that this worker exits, whom nobody supervises, and exit."""
    print("nars: stopping; the same command goes on from here", file=sys.stderr, flush=True)
    _terminate(number, frame)
