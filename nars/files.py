"""Writes files whole or not at all, hashes them, names the cache folder, and notes what has been said."""

from __future__ import annotations

import hashlib
import os
import secrets
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from nars.errors import RunError

__all__ = ["cache_folder", "check_room", "is_first_to_say", "saying_once", "sha256_of", "write_whole"]

_SAID = "NARS_SAID"
"""Environment variable with the folder in which the processes of a search note what one of them has said."""

_LEAST_FREE = 50e6
"""Bytes that have to be free for a journal, weights and checkpoints."""


def check_room(folder: Path) -> None:
    """Raise `RunError` if the disk of a folder is too full for a search to begin."""
    free = shutil.disk_usage(folder).free
    if free < _LEAST_FREE:
        least = f"{_LEAST_FREE / 1e6:.0f}"
        raise RunError(f"{folder}: only {free / 1e6:.0f} MB are free there, a search needs {least}")


def write_whole(path: str | Path, content: str | bytes) -> None:
    """Write under a temporary name next to `path`, flush to the disk, then rename.

    A reader, or the next start after a kill, sees the old file or the new one, never a part.
    Missing parent folders are made. Raises `RunError` with the system's reason, such as a full
    disk; the old file is then untouched.
    """
    path = Path(path)
    data = content.encode() if isinstance(content, str) else content
    part = path.with_name(f".{path.name}.{os.getpid()}.{secrets.token_hex(4)}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            with part.open("xb") as stream:
                stream.write(data)
                stream.flush()
                os.fsync(stream.fileno())
            part.replace(path)
        finally:
            part.unlink(missing_ok=True)
    except OSError as error:
        raise RunError(f"cannot write {path}: {error.strerror or error}") from None


def sha256_of(path: Path) -> str:
    """The SHA-256 of a file's content as hex digits. Raises `OSError`."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def cache_folder() -> Path:
    """The folder of downloads and pretrained encoders, which may be deleted at any time.

    It is ``$NARS_CACHE``, else ``$XDG_CACHE_HOME/nars``, else ``~/.cache/nars``.
    """
    if named := os.environ.get("NARS_CACHE"):
        return Path(named)
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "nars"


@contextmanager
def saying_once() -> Iterator[None]:
    """Let this process and those that it starts in the body say a thing once; see `is_first_to_say`."""
    before = os.environ.get(_SAID)
    with tempfile.TemporaryDirectory(prefix="nars-said-", ignore_cleanup_errors=True) as folder:
        os.environ[_SAID] = folder
        try:
            yield
        finally:
            if before is None:
                del os.environ[_SAID]
            else:
                os.environ[_SAID] = before


def is_first_to_say(text: str) -> bool:
    """Whether no process within `saying_once` has asked for this text before.

    It is always True outside of that, and on a machine that lacks its folder.
    """
    folder = os.environ.get(_SAID)
    if folder is None:
        return True
    name = hashlib.blake2b(text.encode(errors="surrogateescape"), digest_size=16).hexdigest()
    try:
        os.close(os.open(Path(folder) / name, os.O_CREAT | os.O_EXCL | os.O_WRONLY))
    except FileExistsError:
        return False
    except OSError:
        return True
    return True
