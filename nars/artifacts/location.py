"""Finds the store of a search for each of its processes.

A run may come from a stranger, and files are written and deleted in its store. A recorded location outside
of the run folder is therefore followed only if the command line repeats it or, by ``nars worker``, if the
storage is a database server, which the command line names.
"""

from __future__ import annotations

import logging
from pathlib import Path

from optuna.study import Study

from nars.artifacts.store import Store, open_store
from nars.errors import RunError
from nars.studies import StoreLocation, store_location, write_store_location

__all__ = ["FOLDER", "store_of_run", "store_of_worker"]

logger = logging.getLogger(__name__)

FOLDER = "artifacts"
"""The folder in a run folder that is its store unless ``--artifacts`` names another."""

_JOURNAL = ".journal"
"""End of a storage that is a journal file."""

_SQLITE = "sqlite:"
"""Start of a storage that is a database file; files, unlike servers, may have come from a stranger."""


def store_of_run(folder: Path, study: Study, given: str | None = None) -> Store:
    """Open the store of a search for the process that has its run folder, and record the location.

    `given` is the location that the command line names. Raises `UsageError` for a location that cannot be
    used, and `RunError` if the study records one outside of the run folder and the command line names none.
    """
    recorded, own = store_location(study), folder / FOLDER
    if given is None and recorded is not None and not recorded.in_run:
        place = recorded.location
        raise RunError(f"{folder} keeps its weights in {place}: repeat --artifacts {place}, or name another")
    if given is not None and "://" not in given and not Path(given).exists():
        logger.warning("there is no %s: it is made, to keep weights and checkpoints in", given)
    store = open_store(own if given is None else given, create=True)
    location = StoreLocation(store.location, in_run=store.location == str(own.resolve()))
    if location != recorded:
        write_store_location(study, location)
    return store


def store_of_worker(study: Study, storage: str, given: str | None = None) -> Store | None:
    """Open the store of a search for a worker that knows only its storage; None if it cannot reach one.

    Raises `UsageError` for a location that cannot be used, and `RunError` if the study records one that
    the command line has to repeat.
    """
    recorded = store_location(study)
    if given is not None:
        return open_store(given)
    if recorded is None:
        return None
    if recorded.in_run:
        return _in_run(recorded, storage)
    if storage.endswith(_JOURNAL) or storage.startswith(_SQLITE):
        place = recorded.location
        raise RunError(f"study {study.study_name} keeps its weights in {place}: repeat --artifacts {place}")
    return open_store(recorded.location)


def _in_run(recorded: StoreLocation, storage: str) -> Store | None:
    """Open the store in the run folder: beside the journal, or else where the run folder was."""
    beside = Path(storage).parent / FOLDER if storage.endswith(_JOURNAL) else None
    folder = beside if beside is not None and beside.is_dir() else Path(recorded.location)
    if folder != beside and not (folder.is_dir() and (folder.parent / "config.yaml").is_file()):
        remedy = "start the search with --artifacts and a store that every machine reaches"
        logger.warning("this machine does not see %s: it keeps no weights; %s", folder, remedy)
        return None
    return open_store(folder)
