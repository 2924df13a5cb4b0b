"""Keeps passwords of storages out of files, logs, messages and the arguments of processes.

A password may be in the variable ``NARS_STORAGE`` (the whole URL), in a file that ``--storage @FILE`` names,
in ``PGPASSWORD`` or in ``~/.pgpass``, which the drivers of PostgreSQL read themselves. In a URL on the
command line it works, too, but every user of the machine can see it there. Everything else of nars handles
the URL without its password.
"""

from __future__ import annotations

import logging
import os
import re
from pathlib import Path

from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError

from nars.errors import UsageError
from nars.foreign.limits import MOST_NOTE
from nars.foreign.paths import read_bytes

__all__ = [
    "REMEDY",
    "VARIABLE",
    "complete",
    "given",
    "is_given",
    "kept",
    "secrets",
    "spelled",
    "without_password",
]

logger = logging.getLogger(__name__)

VARIABLE = "NARS_STORAGE"
"""Environment variable with the URL of a storage, which workers inherit."""

_DRIVER = ("PGPASSWORD",)
"""Variables in which the drivers of databases look for a password."""

REMEDY = f"give the URL in {VARIABLE} or --storage @FILE, or the password in PGPASSWORD or ~/.pgpass"
"""The ways to give a password that show it to nobody."""


def given(option: str | None) -> str | None:
    """Return the storage that ``--storage`` or ``NARS_STORAGE`` names, without its password.

    The password is kept in the environment of this process, and so of its workers. Raises `UsageError` for a
    file that cannot be read.
    """
    url = option if option is not None else os.environ.get(VARIABLE) or None
    if url is None:
        return None
    if url.startswith("@"):
        url = _from_file(Path(url[1:]))
    elif option is not None and without_password(option) != spelled(option):
        logger.warning("other users of this machine can see the password on the command line; %s", REMEDY)
    return kept(url)


def kept(storage: str) -> str:
    """Return a storage without its password, which is kept in the environment of this process."""
    clean = without_password(storage)
    if clean != spelled(storage):
        os.environ[VARIABLE] = storage
    return clean


def is_given(storage: str) -> bool:
    """Whether the environment names this storage, with or without a password."""
    named = os.environ.get(VARIABLE, "")
    return bool(named) and without_password(named) == without_password(storage)


def complete(storage: str) -> str:
    """Return a storage with its password, if the environment has it, to open it."""
    return os.environ[VARIABLE] if is_given(storage) else storage


def secrets() -> dict[str, str]:
    """Return the variables with passwords that a worker on another machine needs from this environment."""
    return {name: os.environ[name] for name in (VARIABLE, *_DRIVER) if name in os.environ}


def without_password(storage: str) -> str:
    """Return the URL of a storage, `spelled`, without its password; paths and other text stay as they are."""
    storage = spelled(storage)
    if "://" not in storage or storage.startswith("sqlite"):
        return storage
    try:
        url = make_url(storage)
    except (ArgumentError, ValueError):
        scheme, _, rest = storage.partition("://")
        return f"{scheme}://{rest.rpartition('@')[2]}"
    query = {key: value for key, value in url.query.items() if "password" not in key.lower()}
    if url.password is None and len(query) == len(url.query):
        return storage
    return url._replace(password=None, query=query).render_as_string(hide_password=False)  # type: ignore[arg-type]


def spelled(storage: str) -> str:
    """Return the URL of a storage as SQLAlchemy spells it; libpq also takes ``postgres://``."""
    return re.sub(r"^postgres(?=\+\w+://|://)", "postgresql", storage)


def _from_file(file: Path) -> str:
    try:
        text = read_bytes(file, MOST_NOTE).decode().strip()
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "not a text file"
        raise UsageError(f"--storage @{file}: {reason}") from None
    if not text or "\n" in text:
        raise UsageError(f"--storage @{file}: expected one line with a URL")
    return text
