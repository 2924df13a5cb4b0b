"""Opens the storage of a run to read it only: nothing is locked, mended, created or written.

A finished run may be on a disk that cannot be written, may come from a stranger, and may be in use by
another search. Its journal is therefore read once, line by line, into memory.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Generator, Iterable
from pathlib import Path
from typing import Any
from urllib.parse import quote

from optuna.storages import BaseStorage, JournalStorage
from optuna.storages.journal import BaseJournalBackend
from optuna.study import Study

from nars.errors import RunError
from nars.foreign.paths import open_file
from nars.runs.storage import open_storage

__all__ = ["check_complete", "open_to_read"]

logger = logging.getLogger(__name__)

_JOURNAL = ".journal"
"""End of a storage that is a journal file."""

_SQLITE = "sqlite:///"
"""Start of a storage that is a database file."""

_LONGEST = 2**26
"""Bytes of the longest line of a journal."""


def open_to_read(storage: str, opener: Callable[[str], BaseStorage] = open_storage) -> BaseStorage:
    """Open a journal file, a database file or the storage at another URL, to read it.

    A server is opened by `opener`. Raises `RunError` for a file that is missing or damaged; a journal whose
    last line is not whole is read without it, which is logged.
    """
    if storage.endswith(_JOURNAL):
        return _journal(Path(storage))
    file = storage.removeprefix(_SQLITE)
    if file == storage or "?" in file:
        return opener(storage)
    try:
        open_file(file).close()
    except OSError as error:
        raise RunError(f"cannot read {file}: {error.strerror or error}") from None
    return opener(f"{_SQLITE}file:{quote(file)}?mode=ro&uri=true")


def check_complete(folder: Path, study: Study) -> None:
    """Compare a study with the table of trials in its run folder, which lists those before a loss.

    Fewer trials are logged; none at all raise `RunError`.
    """
    listed, there = _listed(folder / "trials.csv"), len(study.get_trials(deepcopy=False))
    if listed and not there:
        raise RunError(f"the study of {folder} has no trial, but trials.csv lists {listed}: it was cut off")
    if listed > there:
        logger.warning(
            "%s: trials.csv lists %d trials, the study has %d: it was cut off", folder, listed, there
        )


def _listed(table: Path) -> int:
    """Count the rows of a table of trials; 0 if there is none."""
    try:
        with open_file(table) as stream:
            return max(0, sum(1 for _ in stream) - 1)
    except OSError:
        return 0


class _ReadBackend(BaseJournalBackend):
    """The lines of a journal in memory, to which none can be added."""

    def __init__(self, lines: list[dict[str, Any]]) -> None:
        self._lines = lines

    def read_logs(self, log_number_from: int) -> Generator[dict[str, Any], None, None]:
        yield from self._lines[log_number_from:]

    def append_logs(self, logs: list[dict[str, Any]]) -> None:
        raise RunError("this run was opened to read it")


def _journal(file: Path) -> BaseStorage:
    try:
        with open_file(file) as stream:
            lines = list(_lines(file, iter(lambda: stream.readline(_LONGEST), b"")))
    except OSError as error:
        raise RunError(f"cannot read {file}: {error.strerror or error}") from None
    try:
        return JournalStorage(_ReadBackend(lines))
    except Exception as error:  # whatever Optuna stumbles over in a line that it did not write
        reason = " ".join(str(error).split())[:200] or "a line has other fields than Optuna writes"
        raise RunError(f"{file} is damaged: {type(error).__name__}: {reason}") from None


def _lines(file: Path, lines: Iterable[bytes]) -> Generator[dict[str, Any], None, None]:
    """Yield every whole line of a journal. Raises `RunError` that names a damaged one."""
    for number, line in enumerate(lines, start=1):
        if not line.endswith(b"\n"):
            logger.warning("%s: line %d is cut off: read without it", file, number)
            return
        try:
            fields = json.loads(line)
        except (ValueError, RecursionError):
            fields = None
        if not isinstance(fields, dict) or not isinstance(fields.get("op_code"), int):
            raise RunError(f"{file}: line {number} is damaged: not a line of Optuna's journal")
        yield fields
