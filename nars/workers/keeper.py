"""Keeps the files of one training in the search's store: checkpoints on the way, weights at the end."""

from __future__ import annotations

import contextlib
import logging
import tempfile
import time
from contextlib import AbstractContextManager
from pathlib import Path
from types import TracebackType

from optuna.exceptions import UpdateFinishedTrialError
from optuna.trial import FrozenTrial, Trial

from nars.artifacts.files import fetch, keep
from nars.artifacts.store import Store
from nars.errors import RunError, StorageAwayError, TrialError
from nars.runs.outage import impatient
from nars.spec import Trainable
from nars.tasks.base import Outcome, Task
from nars.training.loop import Progress
from nars.trials import Measurement, Purpose, artifact_of
from nars.workers.trial import Watch

__all__ = ["Keeper", "discard_checkpoint"]

logger = logging.getLogger(__name__)

KEEP_SECONDS = 30.0
"""Least time between two checkpoints of a trial in the store; an interrupted worker adds its last one."""


class Keeper(AbstractContextManager["Keeper"]):
    """Lets a trial continue an interrupted one, and keeps what another needs to continue it.

    The training writes its checkpoint after every epoch to a local file. One is copied to the store every
    half minute, and when the block ends with an error after which the trial is repeated: any but a
    `TrialError`, unless it is repeated already. Nothing is kept without a store, or if the store fails, which
    is logged once.
    """

    def __init__(self, store: Store | None, trial: Trial) -> None:
        self._store = store
        self._trial = trial
        self._folder = tempfile.TemporaryDirectory(prefix="nars-")
        self._checkpoint = Path(self._folder.name, "checkpoint.pt")
        self._ready = Path(self._folder.name, "ready.pt")
        self._measurements: list[Measurement] = []
        self._unkept: tuple[Measurement, ...] | None = None
        """The measurements of the checkpoint at `_ready`; None if it is in the store or not whole."""
        self._kept_at = time.monotonic()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if kind is not None and not issubclass(kind, TrialError | UpdateFinishedTrialError):
                self._keep_checkpoint()
        finally:
            self._folder.cleanup()

    def run(self, task: Task, candidate: Trainable, seed: int, watch: Watch) -> Outcome:
        """Train a candidate, followed by `watch`, from the checkpoint that its trial has, if any."""

        def on_epoch(progress: Progress) -> bool:
            self._measurements.append((progress.epoch, progress.epochs, progress.score))
            continues = watch(progress)
            if continues and progress.fraction < 1:
                self._follow()
            return continues

        if self._store is not None:
            try:
                self._fetch_checkpoint(self._store)
                watch.resume(self._measurements)
                return task.run(candidate, seed=seed, on_epoch=on_epoch, checkpoint=self._checkpoint)
            except StorageAwayError:  # which says nothing of the checkpoint
                raise
            except RunError as error:  # an update has changed what a checkpoint holds, or a disk is full
                logger.warning("trial %d starts anew, with no checkpoint: %s", self._trial.number, error)
                self._checkpoint.unlink(missing_ok=True)
                self._measurements.clear()
                self._unkept = None
                watch.start_anew()
        return task.run(candidate, seed=seed, on_epoch=on_epoch)

    def keep_weights(self, outcome: Outcome) -> None:
        """Keep the weights of a finished training."""
        if self._store is None or outcome.write is None:
            return
        file = Path(self._folder.name, "weights.pt")
        try:
            outcome.write(file)
        except RunError as error:
            self._report(error)
        else:
            self._keep("weights", file)

    def _fetch_checkpoint(self, store: Store) -> None:
        """Fetch the checkpoint of the trial that this one repeats, if there is one, and its measurements."""
        artifact = artifact_of(self._trial, "checkpoint")
        if artifact is not None and fetch(self._trial, store, "checkpoint", self._checkpoint) is not None:
            self._measurements = list(artifact.measurements)

    def _follow(self) -> None:
        """Set aside the checkpoint of an epoch after which the training continues."""
        if not self._checkpoint.exists():  # a task that writes none
            return
        self._unkept = None
        self._checkpoint.replace(self._ready)
        self._unkept = tuple(self._measurements)
        if time.monotonic() - self._kept_at >= KEEP_SECONDS:
            self._keep_checkpoint()

    def _keep_checkpoint(self) -> None:
        if self._unkept is None:
            return
        with contextlib.suppress(StorageAwayError), impatient():  # the training does not wait; the next epoch
            self._keep("checkpoint", self._ready, self._unkept)
            self._unkept, self._kept_at = None, time.monotonic()

    def _keep(self, purpose: Purpose, file: Path, measurements: tuple[Measurement, ...] = ()) -> None:
        if self._store is None:
            return
        try:
            keep(self._trial, self._store, purpose, file, measurements)
        except StorageAwayError:
            raise
        except RunError as error:
            self._report(error)

    def _report(self, error: RunError) -> None:
        if self._store is not None and not self._store.has_failed:
            logger.warning("%s; the search continues, and says this once", error)
            self._store.has_failed = True


def discard_checkpoint(store: Store | None, trial: Trial | FrozenTrial) -> None:
    """Delete the checkpoint of a finished trial."""
    artifact = artifact_of(trial, "checkpoint")
    if store is not None and artifact is not None:
        store.remove(artifact.id)
