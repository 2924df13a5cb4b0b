"""The storage of a study: a journal file that survives any kill, or any storage that Optuna knows."""

from __future__ import annotations

import os
from pathlib import Path

from filelock import FileLock
from optuna.storages import BaseStorage, JournalStorage, get_storage
from optuna.storages.journal import JournalFileBackend, JournalFileOpenLock

from nars.errors import RunError

__all__ = ["JournalLock", "open_storage"]


class JournalLock(JournalFileOpenLock):
    """An exclusive lock that the operating system releases when its process dies, however it dies.

    Optuna's own locks are files, which a killed process leaves behind for half a minute. Acquiring
    this lock also cuts off a last line that a kill or a full disk left unfinished: no other process
    can be writing it, and the next line appended to it would make the journal unreadable.
    """

    def __init__(self, journal: Path) -> None:
        super().__init__(str(journal))
        self._journal = journal
        self._lock = FileLock(journal.with_name(f"{journal.name}.flock"))

    def acquire(self) -> bool:
        self._lock.acquire()
        self._mend()
        return True

    def release(self) -> None:
        self._lock.release()

    def _mend(self) -> None:
        """Cut off a last line without an end."""
        with self._journal.open("r+b") as journal:
            end = journal.seek(0, os.SEEK_END)
            if end == 0:
                return
            journal.seek(end - 1)
            if journal.read(1) == b"\n":
                return
            journal.seek(0)
            journal.truncate(journal.read().rfind(b"\n") + 1)


def open_storage(where: str | Path) -> BaseStorage:
    """Open a ``.journal`` file, or the storage at an Optuna URL. Raises `RunError`."""
    text = str(where)
    try:
        if text.endswith(".journal"):
            path = Path(text)
            return JournalStorage(JournalFileBackend(text, lock_obj=JournalLock(path)))
        return get_storage(text)
    except Exception as error:  # each database driver raises its own exceptions
        reason = str(error).partition("\n")[0] or type(error).__name__
        raise RunError(f"cannot open storage {text}: {reason}") from None
