"""The storage of a study: a journal file for one machine, a database or its proxy for several.

Every storage is a `PatientStorage`: an outage is waited out, because a search takes days and a restart of its
database seconds. The journal survives any kill.
"""

from __future__ import annotations

import os
import re
import warnings
from importlib.util import find_spec
from pathlib import Path
from urllib.parse import urlsplit

from filelock import FileLock
from optuna.exceptions import ExperimentalWarning
from optuna.storages import BaseStorage, GrpcStorageProxy, JournalStorage, RDBStorage, get_storage
from optuna.storages.journal import JournalFileBackend, JournalFileOpenLock
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError

from nars.errors import RunError, StorageAwayError, UsageError, closest
from nars.runs.location import NOTE
from nars.runs.outage import Outage, is_outage, reason_of
from nars.runs.passwords import REMEDY, spelled
from nars.runs.patient import PatientStorage

__all__ = ["PROXY", "JournalLock", "check_server", "open_storage", "shown"]

PROXY = "grpc://"
"""Start of the address of a proxy, which ``nars storage`` runs in front of a database."""

_POSTGRES = "postgresql"
"""Scheme of PostgreSQL."""

_DATABASES = (_POSTGRES, "mysql", "mariadb", "sqlite", "mssql", "oracle")
"""Databases that SQLAlchemy knows, by their schemes."""

_CONNECTION = {
    "connect_timeout": 10,
    "keepalives_idle": 10,
    "keepalives_interval": 5,
    "keepalives_count": 3,
    "tcp_user_timeout": 30_000,
}
"""Settings of libpq with which a connection that was cut without a word is noticed within half a minute."""


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
        try:
            self._mend()
        except BaseException:  # the file is gone, or the disk cannot be read
            self._lock.release()
            raise
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


def open_storage(where: str | Path, *, patient: bool = False) -> BaseStorage:
    """Open a ``.journal`` file, a proxy at ``grpc://host:port``, or the storage at an Optuna URL.

    Raises `RunError`, and `UsageError` without a package that it needs. A storage that is away is an error at
    once, `StorageAwayError`, unless this call is `patient`; calls of the storage that is returned always are.
    """
    text = str(where)
    name = f"storage {shown(text)}"
    try:
        inner = Outage(name).outlast(lambda: _opened(text)) if patient else _opened(text)
    except (UsageError, StorageAwayError):
        raise
    except Exception as error:  # each database driver raises its own exceptions
        reason = reason_of(error) if is_outage(error) else str(error).partition("\n")[0]
        reason = reason or type(error).__name__
        remedy = _remedy(reason)
        is_away = "://" in text and is_outage(error) and not remedy
        kind = StorageAwayError if is_away else RunError
        raise kind(f"cannot open {name}: {reason}{remedy}") from None
    return PatientStorage(inner, name)


def shown(where: str) -> str:
    """Return the address of a storage without its password, for messages."""
    if "://" not in where:
        return where
    try:
        return make_url(where).render_as_string(hide_password=True)
    except (ArgumentError, ValueError):
        return where.partition("://")[0] + "://..."


def check_server(where: str) -> None:
    """Raise what `open_storage` does if a storage is on a server that does not answer; leave files alone."""
    if "://" in where and not where.startswith("sqlite"):
        open_storage(where)


def _remedy(reason: str) -> str:
    """Return a clause with what to do about an error of a database, if that is known."""
    if "password" in reason:
        return f"; {REMEDY}"
    if match := re.search(r'database "([^"]+)" does not exist', reason):
        return f"; create it there: createdb {match[1]}"
    return ""


def _opened(where: str) -> BaseStorage:
    where = spelled(where)
    if where.endswith(".journal"):
        return JournalStorage(JournalFileBackend(where, lock_obj=JournalLock(Path(where))))
    if where.startswith(PROXY):
        return _proxy(where)
    scheme, mark, rest = where.partition("://")
    if not mark:
        raise ValueError(_about_path(Path(where)))
    if (kind := scheme.partition("+")[0]) not in _DATABASES:
        raise ValueError(f"{kind!r} is no database; {closest(kind, _DATABASES)}")
    if kind != _POSTGRES:
        return get_storage(where)
    if scheme == _POSTGRES:
        if find_spec("psycopg") is None:
            raise UsageError("a storage in PostgreSQL needs psycopg: pip install 'nars[postgres]'")
        scheme = f"{_POSTGRES}+psycopg"
    engine = {"pool_pre_ping": True, "connect_args": _CONNECTION}
    return get_storage(RDBStorage(f"{scheme}://{rest}", engine_kwargs=engine))


def _about_path(path: Path) -> str:
    """Say why a path that is no journal is no storage, and which storage may be meant."""
    for file in (path / "study.journal", path / NOTE):
        if file.exists():
            which = f"is {file}" if file.suffix == ".journal" else f"is in the first line of {file}"
            return f"it is a run folder, whose storage {which}"
    return "give the path of a .journal file, or a URL such as postgresql://USER@HOST/NAME"


def _proxy(where: str) -> BaseStorage:
    """Open a proxy. Raises `OSError` if none answers within the time of a connection."""
    if find_spec("grpc") is None:
        raise UsageError("a storage behind a proxy needs grpcio: pip install 'nars[grpc]'")
    address = urlsplit(where)
    if not address.hostname or not address.port:
        raise UsageError(f"storage {where}: give grpc://host:port")
    with warnings.catch_warnings(category=ExperimentalWarning, action="ignore"):
        proxy = GrpcStorageProxy(host=address.hostname, port=address.port)
    proxy.wait_server_ready(timeout=_CONNECTION["connect_timeout"])
    return proxy
