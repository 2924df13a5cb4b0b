"""The file that a storage is kept in, the same from whichever folder a command is started."""

from __future__ import annotations

from pathlib import Path

from nars.errors import RunError

__all__ = ["absolute", "check_exists", "located"]

_SQLITE = "sqlite"
"""Beginning of the URLs of storages that are a file of SQLite."""


def absolute(storage: str) -> str:
    """The storage with the full path of its file, if it is a file; another storage as it is."""
    file = _file(storage)
    return storage if file is None else _at(storage, file.resolve())


def located(storage: str, folder: Path) -> str:
    """The storage that a run in `folder` records, with the full path of its file.

    Version 0.1 recorded relative paths as they were given: such a file is looked for in the working folder,
    then beside the run folder and in it.
    """
    file = _file(storage)
    if file is None or file.is_absolute():
        return storage
    places = [parent / file for parent in (Path(), folder.parent, folder)]
    return absolute(_at(storage, next((place for place in places if place.exists()), file)))


def check_exists(storage: str, where: str) -> None:
    """Raise `RunError` if a storage is a file that is not there, which opening it would create."""
    file = _file(storage)
    if file is not None and not file.exists():
        raise RunError(f"{where}: its storage {file} is not there; it was moved, or no trial was begun yet")


def _file(storage: str) -> Path | None:
    """The file of a journal or of SQLite; None for a server, and for a database in memory."""
    if storage.endswith(".journal"):
        return Path(storage)
    scheme, mark, rest = storage.partition(":///")
    path = rest.partition("?")[0]
    known = mark and scheme.partition("+")[0] == _SQLITE
    return Path(path) if known and path and path != ":memory:" and not path.startswith("file:") else None


def _at(storage: str, file: Path) -> str:
    """The storage with another path of its file."""
    if storage.endswith(".journal"):
        return str(file)
    scheme, mark, rest = storage.partition(":///")
    _, question, options = rest.partition("?")
    return f"{scheme}{mark}{file}{question}{options}"
