"""The place of a run's storage: its file, whichever folder a command is started in, and the note of it.

A run folder has a note of its storage and of the name of its study, a line each, in ``storage.txt``.
"""

from __future__ import annotations

from pathlib import Path

from nars.errors import RunError
from nars.files import write_whole
from nars.foreign.limits import MOST_NOTE
from nars.foreign.paths import read_bytes
from nars.runs.passwords import without_password

__all__ = ["NOTE", "absolute", "check_exists", "is_within", "located", "note", "noted"]

NOTE = "storage.txt"
"""File of a run folder with its storage; written first, so every run with a `config.yaml` has it."""

_SQLITE = "sqlite"
"""Beginning of the URLs of storages that are a file of SQLite."""


def absolute(storage: str) -> str:
    """The storage with the full path of its file, if it is a file; another storage as it is."""
    file = _file(storage)
    return storage if file is None else _at(storage, file.resolve())


def located(storage: str, folder: Path) -> str:
    """The storage that a run in `folder` records, with the full path of its file.

    A file that is gone is looked for in the run folder, which may have been moved with it. Version 0.1
    recorded relative paths as they were given: such a file is looked for in the working folder, then beside
    the run folder and in it.
    """
    file = _file(storage)
    if file is None:
        return storage
    if file.is_absolute():
        moved = folder / file.name
        return absolute(_at(storage, moved)) if _is_there(moved) and not _is_there(file) else storage
    places = [parent / file for parent in (Path(), folder.parent, folder)]
    return absolute(_at(storage, next(filter(_is_there, places), file)))


def is_within(storage: str, folder: Path) -> bool:
    """Whether a storage is a file in the run folder, after every link."""
    file = storage if storage.endswith(".journal") else storage.removeprefix("sqlite:///")
    if "://" in file or "?" in file or file.startswith(":"):
        return False
    return Path(file).resolve().is_relative_to(folder.resolve())


def note(folder: Path, storage: str, name: str) -> None:
    """Write down the storage of a run, which has no password, and the name of its study."""
    write_whole(folder / NOTE, f"{storage}\n{name}\n")


def noted(folder: Path) -> tuple[str, str]:
    """Read a run's storage and study name; each is empty if it was not written.

    Raises `RunError` for a note that cannot be read or is damaged.
    """
    file = folder / NOTE
    if not file.exists():
        return "", ""
    try:
        lines = read_bytes(file, MOST_NOTE).decode().splitlines()
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "not a text file"
        raise RunError(f"cannot read {file}: {reason}") from None
    if len(lines) > 2 or not all(line.isprintable() for line in lines):
        raise RunError(f"{file} is damaged: expected a storage and the name of a study, a line each")
    storage = without_password(lines[0]) if lines else ""  # older versions wrote it
    return storage, lines[1] if len(lines) > 1 else ""


def check_exists(storage: str, where: str) -> None:
    """Raise `RunError` if a storage is a file that is not there, which opening it would create."""
    file = _file(storage)
    if file is not None and not _is_there(file):
        raise RunError(f"{where}: its storage {file} is not there; it was moved, or no trial was begun yet")


def _is_there(file: Path) -> bool:
    """Whether a file exists; a run of a stranger may name one that cannot."""
    try:
        return file.exists()
    except OSError:  # its name is too long
        return False


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
