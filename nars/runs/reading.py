"""Opens the storage of a run to read it only: nothing is locked, mended, created or written.

A finished run may be on a disk that cannot be written, may come from a stranger, and may be in use by
another search. Its journal is therefore read once, line by line, into memory.
"""

from __future__ import annotations

import csv
import io
import logging
from collections.abc import Generator, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote

from optuna.storages import BaseStorage, JournalStorage
from optuna.storages.journal import BaseJournalBackend
from optuna.study import Study

from nars.errors import RunError
from nars.foreign.paths import open_file, read_bytes
from nars.runs.journal import read_journal
from nars.runs.storage import open_storage

__all__ = ["check_complete", "listed_trials", "open_to_read"]

logger = logging.getLogger(__name__)

_JOURNAL = ".journal"
"""End of a storage that is a journal file."""

_FINISHED = frozenset({"complete", "pruned", "fail"})
"""States in a table of trials that are final."""

_SQLITE = "sqlite:///"
"""Start of a storage that is a database file."""


def open_to_read(storage: str) -> BaseStorage:
    """Open a journal file, a database file or the storage at another URL, to read it.

    Raises `RunError` for a file that is missing or damaged; a journal whose last line is not whole is read
    without it, which is logged.
    """
    if storage.endswith(_JOURNAL):
        return _journal(Path(storage))
    file = storage.removeprefix(_SQLITE)
    if file == storage or "?" in file:
        return open_storage(storage)
    try:
        open_file(file).close()
    except OSError as error:
        raise RunError(f"cannot read {file}: {error.strerror or error}") from None
    return open_storage(f"{_SQLITE}file:{quote(file)}?mode=ro&uri=true")


def check_complete(folder: Path, study: Study, listed: Sequence[tuple[str, str]]) -> None:
    """Compare a study with the `listed_trials` of its run folder, which are those before a loss.

    Fewer trials, or some that are no longer finished, are logged; none at all raise `RunError`. The list has
    to be read before the study, for a search that runs adds to both.
    """
    trials = study.get_trials(deepcopy=False)
    if listed and not trials:
        raise RunError(
            f"the study of {folder} has no trial, but trials.csv lists {len(listed)}: it was cut off"
        )
    table = f"{folder}: trials.csv lists {len(listed)} trials"
    if len(listed) > len(trials):
        logger.warning("%s, the study has %d: it was cut off", table, len(trials))
    open_trials = {str(trial.number) for trial in trials if not trial.state.is_finished()}
    lost = [number for number, state in listed if number in open_trials and state in _FINISHED]
    if lost:
        logger.warning("%s, trial %s as finished, which it is no more: it was cut off", table, lost[0])


def listed_trials(folder: Path) -> list[tuple[str, str]]:
    """Read the numbers and states of the trials that a run folder lists.

    There are none without ``trials.csv``, or if it is damaged.
    """
    try:
        rows = csv.DictReader(io.StringIO(read_bytes(folder / "trials.csv").decode()), restval="")
        return [(row.get("trial", ""), row.get("state", "")) for row in rows]
    except (OSError, UnicodeDecodeError, csv.Error):
        return []


class _ReadBackend(BaseJournalBackend):
    """The lines of a journal in memory, to which none can be added."""

    def __init__(self, lines: list[dict[str, Any]]) -> None:
        self._lines = lines

    def read_logs(self, log_number_from: int) -> Generator[dict[str, Any], None, None]:
        yield from self._lines[log_number_from:]

    def append_logs(self, logs: list[dict[str, Any]]) -> None:
        raise RunError("this run was opened to read it")


def _journal(file: Path) -> BaseStorage:
    lines = list(read_journal(file))
    try:
        return JournalStorage(_ReadBackend(lines))
    except Exception as error:  # whatever Optuna stumbles over in a line that it did not write
        reason = " ".join(str(error).split())[:200] or "a line has other fields than Optuna writes"
        raise RunError(f"{file} is damaged: {type(error).__name__}: {reason}") from None
