"""Opens files that others made, and follows the paths that their files name.

A data set may come from a stranger. A path inside one of its files may therefore lead to the folder of
the data set and to the folder that holds it (Roboflow writes ``../train/images``), and anywhere else only
if the user says so: ``--also-from FOLDER``, or the variable ``NARS_ALSO_FROM``, which the workers of a
search inherit. No file of a data set and no run can say so. Links are the user's own and are followed
when a picture is read; what is copied has to be inside the data set after every link.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterable
from pathlib import Path
from typing import BinaryIO

from nars.errors import DataError, UsageError
from nars.foreign.limits import MOST_BYTES

__all__ = [
    "allow",
    "allowed",
    "copied",
    "inherited",
    "inside",
    "is_file",
    "is_there",
    "one_part",
    "open_file",
    "read_bytes",
]

_LONGEST_NAME = 150
"""Characters of a file's name that is made from another name."""

_PART = 2**20
"""Bytes that are read at a time beyond the size that a file says it has."""

_ALSO_FROM = "NARS_ALSO_FROM"
"""Environment variable with the folders of ``--also-from``, separated as in ``PATH``."""


def open_file(path: str | Path) -> BinaryIO:
    """Open a regular file to read. Raises `OSError`, also for a folder, a pipe, a socket or a device.

    The kind is checked on the open file, which a pipe without a writer does not delay.
    """
    try:
        number = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except ValueError:  # a null character
        raise OSError(errno.EINVAL, "the name has a null character", str(path)) from None
    try:
        mode = os.fstat(number).st_mode
        if not stat.S_ISREG(mode):
            raise OSError(errno.EINVAL, f"{_kind(mode)}, no regular file", str(path))
        return os.fdopen(number, "rb")
    except BaseException:
        os.close(number)
        raise


def is_file(path: Path) -> bool:
    """Whether there is a regular file, or a link to one, of a name that another file has given.

    A name that is too long, or that no file can have, has none.
    """
    try:
        return path.is_file()
    except (OSError, ValueError):
        return False


def is_there(path: Path) -> bool:
    """Whether there is a file or folder of a name that another file has given."""
    try:
        return path.exists()
    except (OSError, ValueError):
        return False


def read_bytes(path: str | Path, most: int = MOST_BYTES) -> bytes:
    """Read a regular file whole. Raises `OSError`, also if it has more than `most` bytes."""
    with open_file(path) as stream:
        size = os.fstat(stream.fileno()).st_size
        parts = [stream.read(min(size, most))]  # never asks for more memory than the file has bytes
        total = size
        while total <= most and (part := stream.read(_PART)):  # it grows, or is one of the system's
            parts.append(part)
            total += len(part)
    if total > most:
        raise OSError(errno.EFBIG, f"has more than {most} bytes", str(path))
    return b"".join(parts) if len(parts) > 1 else parts[0]


def allow(folders: Iterable[str | Path]) -> None:
    """Let paths inside files lead to these folders, in this process and those that it starts.

    Raises `UsageError` for a folder that is not there.
    """
    for folder in folders:
        if not Path(folder).is_dir():
            raise UsageError(f"--also-from {folder}: no such folder")
        known = os.environ.get(_ALSO_FROM, "").split(os.pathsep)
        added = str(Path(folder).resolve())
        if added not in known:
            os.environ[_ALSO_FROM] = os.pathsep.join(filter(None, (*known, added)))


def allowed() -> list[Path]:
    """The folders of ``--also-from`` and `NARS_ALSO_FROM`."""
    return [Path(folder) for folder in os.environ.get(_ALSO_FROM, "").split(os.pathsep) if folder]


def inherited() -> dict[str, str]:
    """The variable of `allowed`, if it is set, for a process on another machine."""
    return {_ALSO_FROM: os.environ[_ALSO_FROM]} if _ALSO_FROM in os.environ else {}


def inside(path: Path, data: Path) -> Path:
    """Return `path`, which a file of the data set in the folder `data` names, if it may be followed.

    Raises `DataError` that names the option which permits it. No link is resolved unless the path goes up.
    """
    if _is_plainly_inside(os.fspath(path), os.fspath(data)):
        return path
    roots = (_absolute(data).parent, *allowed())
    target = _absolute(path)
    if any(target.is_relative_to(root) for root in roots):
        if ".." not in path.parts:
            return path
        resolved = _resolved(path)  # a link and then `..` leads elsewhere than the text says
        if any(resolved.is_relative_to(root.resolve()) for root in roots):
            return path
    raise DataError(f"{path} leads out of the data set: allow it with --also-from {target.parent}")


def _is_plainly_inside(path: str, data: str) -> bool:
    """Whether the text of a path goes on from the folder's, and never up: a table has a million of these."""
    if os.pardir in path:
        return False
    return not path.startswith(os.sep) if data == os.curdir else path.startswith(f"{data}{os.sep}")


def copied(path: Path, data: Path) -> Path:
    """Return `path` if its file may be copied from the data set in the folder `data`.

    It has to be inside that folder, or one of ``--also-from``, after every link. Raises `DataError`.
    """
    resolved = _resolved(path)
    if any(resolved.is_relative_to(root) for root in (data.resolve(), *allowed())):
        return path
    raise DataError(f"{path} is outside of {data}, so it is not copied: allow it with --also-from")


def one_part(name: str) -> str:
    """Return a name that makes no path: without separators, dots in front and unprintable characters."""
    text = "".join("_" if letter in "/\\" or not letter.isprintable() else letter for letter in name)
    return (text.lstrip(".") or "_")[:_LONGEST_NAME]


def _absolute(path: Path) -> Path:
    """Return the absolute path without ``..``, as its text says."""
    return Path(os.path.abspath(path))  # noqa: PTH100  Path.absolute keeps `..`


def _resolved(path: Path) -> Path:
    try:
        return path.resolve()
    except (OSError, ValueError, RuntimeError):  # a null character, or links in a circle
        raise DataError(f"{str(path)!r} is no path that can be followed") from None


def _kind(mode: int) -> str:
    """Return the kind of a file that is not a regular one."""
    kinds = ((stat.S_ISDIR, "Is a directory"), (stat.S_ISFIFO, "is a pipe"), (stat.S_ISSOCK, "is a socket"))
    return next((name for test, name in kinds if test(mode)), "is a device")
