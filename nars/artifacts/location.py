"""Finds the store of a search for each of its processes.

A run may come from a stranger, and files are written and deleted in its store. A recorded location outside
of the run folder is therefore followed only if the command line repeats it or, by ``nars worker``, if the
storage is a database server, which the command line names.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from optuna.study import Study

from nars.artifacts.store import Store, open_store
from nars.errors import RunError
from nars.studies import StoreLocation, store_location, write_store_location
from nars.trials import artifact_of

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
    used, and `RunError` if the study records one outside of the run folder and the command line names none,
    or if it keeps files that are not where the command line says; then nothing is written.
    """
    recorded, own = store_location(study), folder / FOLDER
    if given is None and recorded is not None and not recorded.in_run:
        place = recorded.location
        remedy = f"repeat --artifacts {place}, or name the place that they were moved to"
        raise RunError(f"{folder} keeps its weights in {place}: {remedy}")
    if given is not None and recorded is not None and Path(given).resolve() != own.resolve():
        place = str(own) if recorded.in_run else recorded.location
        _check_keeps(study, replace(recorded, location=place), given, str(folder))
    is_new = given is not None and not _exists(given)
    store = open_store(own if given is None else given, create=True)
    if is_new:
        logger.warning("there was no %s: it was made, to keep weights and checkpoints in", given)
    location = StoreLocation(store.location, in_run=store.location == str(own.resolve()))
    if location != recorded:
        write_store_location(study, location)
    return store


def store_of_worker(study: Study, storage: str, given: str | None = None) -> Store | None:
    """Open the store of a search for a worker that knows only its storage; None if it cannot reach one.

    Raises `UsageError` for a location that cannot be used, and `RunError` if the study records one that
    the command line has to repeat, or if it keeps files that are not in the `given` one.
    """
    recorded = store_location(study)
    if given is not None:
        store = open_store(given)
        if recorded is not None:
            _check_keeps(study, recorded, given, f"study {study.study_name}")
        return store
    if recorded is None:
        return None
    if recorded.in_run:
        return _in_run(recorded, storage)
    if storage.endswith(_JOURNAL) or storage.startswith(_SQLITE):
        place = recorded.location
        raise RunError(f"study {study.study_name} keeps its weights in {place}: repeat --artifacts {place}")
    return open_store(recorded.location)


def _check_keeps(study: Study, recorded: StoreLocation, given: str, title: str) -> None:
    """Raise `RunError` if a study keeps files, in the store that it records, and the `given` one has none."""
    place = recorded.location
    if given.rstrip("/") == place or str(Path(given).resolve()) == place:
        return
    names = list(_names(study))
    if names and not (_exists(given) and any(map(open_store(given).has, names))):
        remedy = "leave out --artifacts" if recorded.in_run else f"repeat --artifacts {place}"
        where = f"{place}, and {given} has none of them"
        raise RunError(f"{title} keeps its weights in {where}: {remedy}, or copy them first")


def _names(study: Study) -> Iterator[str]:
    """Yield the names of files that a study has kept: of its reference, or else of its trials.

    Those of the best trials come first, because others may have been deleted since.
    """
    reference = artifact_of(study, "reference")
    if reference is not None:
        yield reference.id
        return
    trials = study.get_trials(deepcopy=False)
    for trial in sorted(trials, key=lambda trial: -(trial.values or [-math.inf])[0]):
        for artifact in (artifact_of(trial, "weights"), artifact_of(trial, "checkpoint")):
            if artifact is not None:
                yield artifact.id


def _exists(location: str) -> bool:
    """Whether a location is no folder that is still to be made."""
    return "://" in location or Path(location).exists()


def _in_run(recorded: StoreLocation, storage: str) -> Store | None:
    """Open the store in the run folder: beside the journal, or else where the run folder was."""
    beside = Path(storage).parent / FOLDER if storage.endswith(_JOURNAL) else None
    folder = beside if beside is not None and beside.is_dir() else Path(recorded.location)
    if folder != beside and not (folder.is_dir() and (folder.parent / "config.yaml").is_file()):
        remedy = "start the search with --artifacts and a store that every machine reaches"
        logger.warning("this machine does not see %s: it keeps no weights; %s", folder, remedy)
        return None
    return open_store(folder)
