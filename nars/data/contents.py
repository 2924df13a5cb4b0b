"""Hashes of image files by their bytes, remembered so that a file is read once."""

from __future__ import annotations

import hashlib
import json
import os
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from nars.data import cache
from nars.data.pictures import in_threads
from nars.errors import RunError
from nars.files import write_whole
from nars.foreign.paths import read_bytes

__all__ = ["MANY", "hashes"]

MANY = 1024
"""Least number of files whose hashes are remembered; fewer files are read each time."""

_SETTLED = 2.0
"""Seconds after which a further change of a file is sure to change its time stamp."""


def hashes(files: Sequence[Path], root: Path) -> list[str]:
    """The BLAKE2b hash of each file's bytes, in hex; of a file that cannot be read, ``unreadable``.

    A hash is remembered by size and times of the file, in the cache folder under the path of `root`.
    """
    distinct = list(dict.fromkeys(map(os.fspath, files)))
    if len(distinct) < MANY:
        found = {file: _hash(file) for file in distinct}
    else:
        found = _remembered_hashes(distinct, root)
    return [found[os.fspath(file)] for file in files]


def _remembered_hashes(files: Sequence[str], root: Path) -> dict[str, str]:
    """The hash of each of many files, after the memory has been brought up to date."""
    name = hashlib.blake2b(str(root.resolve()).encode(errors="surrogateescape"), digest_size=16).hexdigest()
    memory = cache.folder() / f"{name}.json"
    known, fresh = _remembered(memory), dict[str, list[Any]]()
    stamps = {file: _stamp(file) for file in files}
    names = _names(files, root)
    unknown = [file for file in files if not stamps[file] or known.get(names[file], [])[:3] != stamps[file]]
    new = dict(zip(unknown, in_threads(_hash, unknown, f"reading pictures of {root}"), strict=True))
    found = {file: new[file] if file in new else str(known[names[file]][3]) for file in files}
    settled = (time.time() - _SETTLED) * 1e9
    for file, digest in found.items():
        stamp = stamps[file]
        if stamp and max(stamp[1:]) < settled:
            fresh[names[file]] = [*stamp, digest]
    if fresh != known:
        _remember(memory, fresh)
    return found


def _names(files: Sequence[str], root: Path) -> dict[str, str]:
    """The path of each file relative to the root."""
    start = os.path.join(root, "")  # noqa: PTH118  a million of these
    return {
        file: file[len(start) :]
        if file.startswith(start) and os.pardir not in file
        else os.path.relpath(file, root)
        for file in files
    }


def _hash(file: str) -> str:
    try:
        return hashlib.blake2b(read_bytes(file), digest_size=16).hexdigest()
    except OSError:
        return "unreadable"  # decoding it says why


def _stamp(file: str) -> list[int]:
    """Size and times of a file, in bytes and nanoseconds; empty if the system does not tell them."""
    try:
        status = os.stat(file)  # noqa: PTH116  a million of these
    except OSError:
        return []
    return [status.st_size, status.st_mtime_ns, status.st_ctime_ns]


def _remembered(memory: Path) -> dict[str, list[Any]]:
    """The remembered size, times and hash of each file, by its path below the root."""
    try:
        content = json.loads(memory.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    valid = isinstance(content, dict) and all(
        isinstance(entry, list) and len(entry) == 4 for entry in content.values()
    )
    return content if valid else {}


def _remember(memory: Path, content: dict[str, list[Any]]) -> None:
    try:
        write_whole(memory, json.dumps(content))
    except RunError:
        return  # the files are read again the next time
