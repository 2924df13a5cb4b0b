"""A store of files: a folder, or a bucket of S3."""

from __future__ import annotations

import logging
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

from optuna.artifacts import Boto3ArtifactStore, FileSystemArtifactStore
from optuna.artifacts.exceptions import ArtifactNotFound

from nars.errors import UsageError
from nars.files import check_room

__all__ = ["Store", "open_store", "reason_of"]

logger = logging.getLogger(__name__)

_S3 = "s3://"
"""Start of the location of a store in a bucket."""

_ID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
"""A name that `optuna.artifacts` gives; no other file in a store's folder is read or deleted."""


@dataclass
class Store:
    """Holds the files of a search by their names, with the methods that Optuna calls."""

    location: str
    """A folder as an absolute path, or ``s3://bucket/prefix``."""
    backend: FileSystemArtifactStore | Boto3ArtifactStore
    prefix: str = ""
    has_failed: bool = False
    """Whether a failure to keep a file was already reported, which is done once."""
    _removed: set[str] = field(default_factory=set)

    def open_reader(self, artifact_id: str) -> BinaryIO:
        return self.backend.open_reader(self.prefix + _checked(artifact_id))

    def has(self, artifact_id: str) -> bool:
        """Whether a file of this name is there. Raises `UsageError` if the store does not answer."""
        try:
            self.open_reader(artifact_id).close()
        except ArtifactNotFound:
            return False
        except Exception as error:  # each kind of store raises its own
            raise UsageError(f"--artifacts {self.location}: {reason_of(error)}") from None
        return True

    def write(self, artifact_id: str, content_body: BinaryIO) -> None:
        self.backend.write(self.prefix + _checked(artifact_id), content_body)

    def remove(self, artifact_id: str) -> None:
        """Delete a file; one that is gone or cannot be deleted is not tried again."""
        if artifact_id in self._removed or not _ID.fullmatch(artifact_id):
            return
        self._removed.add(artifact_id)
        try:
            self.backend.remove(self.prefix + artifact_id)
        except ArtifactNotFound:
            pass
        except Exception as error:  # each kind of store raises its own
            logger.info("cannot delete %s in %s: %s", artifact_id, self.location, reason_of(error))


def open_store(location: str | Path, *, create: bool = False) -> Store:
    """Open the store at `location`: a folder, made if `create`, or ``s3://bucket/prefix``.

    Raises `UsageError` for another kind of location, for a folder that is not there, and without the
    package that a bucket takes, and `RunError` for a new folder on a full disk, which is not made.
    """
    text = str(location)
    if text.startswith(_S3):
        return _bucket(text)
    if "://" in text:
        raise UsageError(f"--artifacts {text}: give a folder or s3://bucket/prefix")
    folder = Path(text).resolve()
    try:
        nearest = next(place for place in (folder, *folder.parents) if place.exists())
        if not nearest.is_dir():
            raise UsageError(f"--artifacts {text}: {nearest} is a file: give a folder")
        if create:
            if nearest != folder or not any(folder.iterdir()):  # a search that begins
                check_room(nearest)
            folder.mkdir(parents=True, exist_ok=True)
        elif nearest != folder:
            raise UsageError(f"--artifacts {text}: this machine has no such folder")
    except OSError as error:
        raise UsageError(f"--artifacts {text}: {error.strerror or error}") from None
    return Store(str(folder), FileSystemArtifactStore(folder))


def _bucket(location: str) -> Store:
    """Open a store in a bucket of S3, or of a service that speaks its language (``AWS_ENDPOINT_URL``)."""
    bucket, _, prefix = location.removeprefix(_S3).rstrip("/").partition("/")
    if not bucket:
        raise UsageError(f"--artifacts {location}: give s3://bucket/prefix")
    try:
        import boto3
        from botocore.config import Config
        from botocore.exceptions import BotoCoreError
    except ImportError:
        raise UsageError(f"--artifacts {location} needs boto3: pip install 'nars[s3]'") from None
    try:
        client = boto3.client("s3", config=Config(retries={"mode": "standard"}))
    except (BotoCoreError, ValueError) as error:
        raise UsageError(f"--artifacts {location}: {reason_of(error)}") from None
    return Store(location.rstrip("/"), Boto3ArtifactStore(bucket, client), f"{prefix}/" if prefix else "")


def _checked(name: str) -> str:
    """The name, if it is one that a store gives."""
    if not _ID.fullmatch(name):
        raise ArtifactNotFound(f"no file of a store is called {name!r}")
    return name


def reason_of(error: Exception) -> str:
    """Return in one line why a store could not do something."""
    text = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    return text.partition("\n")[0] or type(error).__name__
