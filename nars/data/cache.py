"""Large arrays that all processes of this machine share: files that are made once and mapped into memory.

They are in the folder ``images`` of `nars.files.cache_folder`, not in a run folder: the data are opened
before a search has one, and trainings, evaluations and other searches on the same data use the files, too.
The folder may be deleted at any time.
"""

from __future__ import annotations

import contextlib
import hashlib
import logging
import os
import secrets
from collections.abc import Callable, Sequence
from pathlib import Path

from filelock import FileLock
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from nars.files import cache_folder

__all__ = ["MOST_BYTES", "MOST_FILES", "SMALLEST", "folder", "shared"]

logger = logging.getLogger(__name__)

SMALLEST = 2**24
"""Bytes from which on an array is shared; each process holds smaller ones itself."""

MOST_FILES, MOST_BYTES = 64, 2**33
"""Files in the folder and bytes of them all, beyond which those that were used least recently are removed."""

_SUFFIX = ".safetensors"

_refused: set[Path] = set()
"""Folders that this process could not write to, which it has logged."""


def folder() -> Path:
    """The folder of the files."""
    return cache_folder() / "images"


def shared(identity: Sequence[str], size: int, make: Callable[[], dict[str, Tensor]]) -> dict[str, Tensor]:
    """The tensors that `make` returns, mapped from a file if their `size` is at least `SMALLEST` bytes.

    `identity` is everything that they depend on. One process makes them while others wait; a file that is
    truncated or of another identity is made anew. If the folder cannot be written, that is logged once, and
    each process calls `make`. The tensors must not be modified.
    """
    where = folder()
    if size < SMALLEST or where in _refused:
        return make()
    key = hashlib.blake2b("\n".join(identity).encode(), digest_size=16).hexdigest()
    path = where / f"{key}{_SUFFIX}"
    found = _read(path, key)
    if found is not None:
        return found
    made: dict[str, Tensor] | None = None
    try:
        where.mkdir(parents=True, exist_ok=True)
        with FileLock(where / ".lock"):
            found = _read(path, key)  # another process may have been first
            if found is None:
                made = make()
                _write(path, key, made)
                found = _read(path, key)
    except (OSError, NotImplementedError, SafetensorError) as error:
        _refused.add(where)
        reason = " ".join(str(error).split())
        logger.warning("each process holds the images itself, since %s cannot be used: %s", where, reason)
    if found is not None:
        return found
    return make() if made is None else made


def _read(path: Path, key: str) -> dict[str, Tensor] | None:
    """The mapped tensors of a file; None if it is missing, truncated or of another identity."""
    try:
        with safe_open(path, framework="pt") as file:
            if (file.metadata() or {}).get("identity") != key:
                return None
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118, it is no mapping
    except (OSError, SafetensorError):
        return None
    with contextlib.suppress(OSError):
        os.utime(path)  # used now
    return tensors


def _write(path: Path, key: str, tensors: dict[str, Tensor]) -> None:
    """Write a file whole or not at all, after making room for it. Raises `OSError`, `SafetensorError`."""
    _remove_oldest(path.parent, sum(tensor.nbytes for tensor in tensors.values()))
    part = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    try:
        save_file(tensors, part, metadata={"identity": key})
        with part.open("rb") as stream:
            os.fsync(stream.fileno())
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)


def _remove_oldest(where: Path, coming: int) -> None:
    """Remove what was used least recently until `coming` more bytes are within the bounds.

    Processes that have a removed file mapped keep it. Parts that a killed process left are removed, too.
    """
    for part in where.glob(f".*{_SUFFIX}.*"):  # only the holder of the lock writes parts
        part.unlink(missing_ok=True)
    files = sorted((file.stat().st_mtime, file.stat().st_size, file) for file in where.glob("[!.]*"))
    count, total = len(files) + 1, sum(size for _, size, _ in files) + coming
    for _, size, file in files:
        if count <= MOST_FILES and total <= MOST_BYTES:
            break
        file.unlink(missing_ok=True)
        count, total = count - 1, total - size
