"""Published weights by name, kept in a folder after their first use.

A file that lies in the folder already is used as it is; the network is asked only for one that
doesn't. What a file contained when it was first used is recorded beside it, and a file that has
changed since is refused. `licence` tells the terms of each.
"""

from __future__ import annotations

import hashlib
import logging
import shutil
import tempfile
from functools import cache
from pathlib import Path
from typing import Annotated, Literal
from urllib.error import URLError
from urllib.request import Request, urlopen

from pydantic import Field

from nars.errors import WeightsError, closest
from nars.files import cache_folder, write_whole
from nars.spec import Frozen, read_yaml

__all__ = ["Entry", "entries", "fetch", "folder", "licence"]

logger = logging.getLogger(__name__)

_FILE = Path(__file__).with_name("weights.yaml")
_PATIENCE = 30
"""Seconds without an answer until a download is given up."""


class Entry(Frozen):
    """Where weights were published, and under which of the file's licences."""

    address: Annotated[str, Field(pattern="^https://")]
    licence: Literal["d2go", "mobile-vision", "timm"]


@cache
def entries() -> dict[str, Entry]:
    """All published weights that have a known address."""
    rows = read_yaml(_FILE, "weights")["weights"]
    return {name: Entry.of(fields) for name, fields in rows.items()}


def licence(name: str) -> str:
    """What is known of the terms that the weights called `name` are under."""
    text: str = read_yaml(_FILE, "weights")["licences"][_entry(name).licence]
    return text


def folder() -> Path:
    """The part of the cache that weights are kept in."""
    return cache_folder() / "weights"


def fetch(name: str) -> Path:
    """The file of the weights called `name`, downloaded at the first time.

    Raises `WeightsError` for an unknown name, for a file that is not what it was, and where it
    can't be downloaded, with the place to put it at.
    """
    address = _entry(name).address
    path = folder() / f"{name}{Path(address).suffix}"
    if not path.exists():
        logger.info("downloading %s: %s; licence: %s", name, address, licence(name))
        _download(name, address, path)
    _check_unchanged(path)
    return path


def _entry(name: str) -> Entry:
    if name not in entries():
        raise WeightsError(
            f"no file and no published weights are called {name!r}: {closest(name, entries())}"
        )
    return entries()[name]


def _download(name: str, address: str, path: Path) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=path.parent, prefix=f".{name}.", delete=False) as part:
            try:
                with urlopen(Request(address, headers={"User-Agent": "nars"}), timeout=_PATIENCE) as answer:
                    shutil.copyfileobj(answer, part)
                part.close()
                Path(part.name).replace(path)
            finally:
                Path(part.name).unlink(missing_ok=True)
    except OSError as error:  # URLError and TimeoutError, too
        reason = error.reason if isinstance(error, URLError) else error
        remedy = f"if you have a copy, put it at {path}"
        raise WeightsError(f"cannot download {name} from {address} ({reason}); {remedy}") from None


def _check_unchanged(path: Path) -> None:
    """Compare with the record of the first use, or write it."""
    record = path.with_name(path.name + ".sha256")
    with path.open("rb") as stream:
        found = hashlib.file_digest(stream, "sha256").hexdigest()
    if not record.exists():
        write_whole(record, f"{found}  {path.name}\n")
        return
    known = record.read_text(encoding="utf-8").split()
    if known[:1] != [found]:
        remedy = f"delete {record} if you changed it"
        raise WeightsError(f"{path} is not what it was at its first use (SHA-256 {found}); {remedy}")
