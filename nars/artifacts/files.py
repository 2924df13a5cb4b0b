"""Keeps the files of trials and studies in a store, and fetches them."""

from __future__ import annotations

import contextlib
import hashlib
import logging
from pathlib import Path
from typing import BinaryIO

from optuna.artifacts import upload_artifact
from optuna.artifacts.exceptions import ArtifactNotFound
from optuna.exceptions import UpdateFinishedTrialError
from optuna.study import Study
from optuna.trial import FrozenTrial, Trial

from nars.artifacts.store import Store, reason_of
from nars.errors import RunError, StorageAwayError
from nars.files import sha256_of, write_whole
from nars.trials import Artifact, Measurement, Purpose, artifact_of, write_artifact

__all__ = ["fetch", "keep"]

logger = logging.getLogger(__name__)


def keep(
    owner: Study | Trial,
    store: Store,
    purpose: Purpose,
    file: Path,
    measurements: tuple[Measurement, ...] = (),
) -> None:
    """Copy `file` into the store for `purpose` of a running trial or a study, replacing the one before.

    `measurements` are those of a checkpoint. Raises `RunError` with the reason, such as a full disk, and
    `StorageAwayError` if the study cannot be told; the file before is then kept. Raises
    `UpdateFinishedTrialError` if the trial no longer runs.
    """
    before = artifact_of(owner, purpose)
    try:
        digest = sha256_of(file)
        size = file.stat().st_size
        named = _Named(store)
        with contextlib.ExitStack() as undo:
            undo.callback(named.remove)
            name = upload_artifact(artifact_store=named, file_path=str(file), study_or_trial=owner)
            undo.pop_all()
    except (StorageAwayError, UpdateFinishedTrialError):
        raise
    except Exception as error:  # each kind of store raises its own
        raise RunError(f"cannot keep {purpose} in {store.location}: {reason_of(error)}") from None
    write_artifact(owner, purpose, Artifact(name, size, digest, measurements))
    if before is not None:
        store.remove(before.id)


def fetch(
    owner: Study | Trial | FrozenTrial,
    store: Store,
    purpose: Purpose,
    target: Path,
    *,
    is_needed: bool = False,
) -> Path | None:
    """Copy the file for `purpose` of a trial or a study to `target`, whole or not at all.

    Returns `target`, or None if the file is gone or, which is logged, differs from what was kept or cannot be
    read. The latter raises `StorageAwayError` if there is no way on without the file. Raises `RunError` if
    `target` cannot be written.
    """
    artifact = artifact_of(owner, purpose)
    if artifact is None:
        return None
    try:
        with contextlib.closing(store.open_reader(artifact.id)) as stream:
            content = stream.read()
    except ArtifactNotFound:
        return None
    except Exception as error:  # each kind of store raises its own
        unread = f"cannot read {purpose} in {store.location}: {reason_of(error)}"
        if is_needed:
            raise StorageAwayError(unread) from None
        logger.warning("%s", unread)
        return None
    if len(content) != artifact.size or hashlib.sha256(content).hexdigest() != artifact.sha256:
        logger.warning("%s in %s is not what was kept: not used", artifact.id, store.location)
        return None
    write_whole(target, content)
    return target


class _Named:
    """A store that remembers the name of the last file written, so that an unfinished one can be deleted."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._name: str | None = None

    def open_reader(self, artifact_id: str) -> BinaryIO:
        return self._store.open_reader(artifact_id)

    def write(self, artifact_id: str, content_body: BinaryIO) -> None:
        self._name = artifact_id
        self._store.write(artifact_id, content_body)

    def remove(self, artifact_id: str | None = None) -> None:
        name = artifact_id or self._name
        if name is not None:
            self._store.remove(name)
