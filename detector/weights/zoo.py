"""Published weights by name, kept in the cache after their first use.

A file that is in the cache is used as it is; the network is asked only for one that isn't. Every
use compares the file's hash with the published one, if there is one, and with that of the first
use, which is recorded next to the file. `licence` returns the terms of each.
"""

from __future__ import annotations

import logging
import shutil
import tempfile
from functools import cache
from pathlib import Path
from typing import Annotated, Literal
from urllib.error import URLError
from urllib.request import Request, urlopen

from pydantic import Field

from nars.documents import Frozen, read_yaml
from nars.errors import WeightsError, closest
from nars.files import cache_folder, sha256_of, write_whole

__all__ = ["Entry", "entries", "fetch", "folder", "licence"]

logger = logging.getLogger(__name__)

_FILE = Path(__file__).with_name("weights.yaml")
"""The list of what is published."""

_PATIENCE = 30
"""Seconds without a response after which a download is abandoned."""


class Entry(Frozen):
    """One row of the list: where weights were published, and under which of its licences."""

    address: Annotated[str, Field(pattern="^https://")]
    licence: Literal["d2go", "mobile-vision", "timm"]
    sha256: Annotated[str, Field(pattern="^[0-9a-f]{8,64}$")] | None = None
    """The first digits of the file's hash, as published; None if none are."""


@cache
def entries() -> dict[str, Entry]:
    """All published weights that have a known address."""
    rows = read_yaml(_FILE, "weights")["weights"]
    return {name: Entry.of(fields) for name, fields in rows.items()}


def licence(name: str) -> str:
    """The terms of the weights called `name`, as far as they are known. Raises `WeightsError`."""
    text: str = read_yaml(_FILE, "weights")["licences"][_entry(name).licence]
    return text


def folder() -> Path:
    """The part of the cache that weights are kept in."""
    return cache_folder() / "weights"


def fetch(name: str) -> Path:
    """The file of the weights called `name`, which is downloaded at its first use.

    Raises `WeightsError` for an unknown name, for a file with another hash, and for a download
    that failed, with the path to put a copy at.
    """
    entry = _entry(name)
    path = folder() / f"{name}{Path(entry.address).suffix}"
    if not path.exists():
        logger.info("downloading %s: %s; licence: %s", name, entry.address, licence(name))
        _download(name, entry, path)
    _check_published(path, entry, f"{path}", "delete it to download it again")
    _check_unchanged(path)
    return path


def _entry(name: str) -> Entry:
    if name not in entries():
        raise WeightsError(
            f"no file and no published weights are called {name!r}: {closest(name, entries())}"
        )
    return entries()[name]


def _download(name: str, entry: Entry, path: Path) -> None:
    """Write the file whole, or not at all if its hash is not the published one."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=path.parent, prefix=f".{name}.", delete=False) as part:
            try:
                request = Request(entry.address, headers={"User-Agent": "nars"})
                with urlopen(request, timeout=_PATIENCE) as answer:
                    shutil.copyfileobj(answer, part)
                part.close()
                _check_published(Path(part.name), entry, entry.address, "the download was not kept")
                Path(part.name).replace(path)
            finally:
                Path(part.name).unlink(missing_ok=True)
    except OSError as error:  # URLError and TimeoutError, too
        reason = error.reason if isinstance(error, URLError) else error
        remedy = f"if you have a copy, put it at {path}"
        raise WeightsError(f"cannot download {name} from {entry.address} ({reason}); {remedy}") from None


def _check_published(path: Path, entry: Entry, source: str, remedy: str) -> None:
    """Compare with the published hash, if there is one."""
    digest = sha256_of(path)
    if entry.sha256 is not None and not digest.startswith(entry.sha256):
        hashes = f"its SHA-256 is {digest}, expected one that starts with {entry.sha256}"
        raise WeightsError(f"{source} is not what was published: {hashes}; {remedy}")


def _check_unchanged(path: Path) -> None:
    """Compare with the record of the first use, or write it."""
    digest = sha256_of(path)
    record = path.with_name(path.name + ".sha256")
    if not record.exists():
        write_whole(record, f"{digest}  {path.name}\n")
        return
    recorded = record.read_text(encoding="utf-8").split()
    if recorded[:1] != [digest]:
        remedy = f"delete {record} if you changed it"
        raise WeightsError(f"{path} is not what it was at its first use (SHA-256 {digest}); {remedy}")
