"""The states of the jobs of one search, as Slurm's queue lists them.

Accounting, which sacct and submitit ask, is optional in Slurm; the queue is not. It lists jobs that have
ended for five minutes more.
"""

from __future__ import annotations

import logging
import subprocess
import time
from collections.abc import Callable, Iterable, Mapping

__all__ = ["WAITING", "Queue"]

logger = logging.getLogger(__name__)

WAITING = {"PENDING", "CONFIGURING", "REQUEUED", "REQUEUE_HOLD", "RESV_DEL_HOLD", "SPECIAL_EXIT"}
"""States before a job runs, for the first time or again."""

_WORKING = {"RUNNING", "COMPLETING", "SUSPENDED", "STOPPED", "RESIZING", "SIGNALING", "STAGE_OUT", "UNKNOWN"}
"""States of a job that has begun and not ended."""

_INTERVAL_SECONDS = 2.0
"""Least time between two looks at the queue."""

_UNLISTED_SECONDS = 60.0
"""Time for a new job, or for the file with the result of an old one, to appear."""


class Queue:
    """Follows the jobs of this user that have one name."""

    def __init__(self, name: str, clock: Callable[[], float] = time.monotonic) -> None:
        self._name = name
        self._clock = clock
        self._looked: float | None = None
        self._is_away = False
        """Whether Slurm did not answer at the last look, which is said once."""
        self._states: dict[str, str] = {}
        self._seen: dict[str, float] = {}
        """When each watched job was in the queue last."""

    @property
    def ids(self) -> list[str]:
        """The jobs that are watched."""
        return list(self._seen)

    def watch(self, jobs: Iterable[str]) -> None:
        """Follow these jobs, too."""
        self._looked = None
        for job in jobs:
            self._seen[job] = self._clock()

    def alive(self) -> list[str]:
        """The jobs in the queue that have not ended."""
        self._look()
        return [job for job, state in self._states.items() if state in WAITING | _WORKING]

    def listed(self, job: str) -> str | None:
        """The state of a job in the queue; None if it is not there."""
        self._look()
        return self._states.get(job)

    def ended(self, job: str) -> str | None:
        """The state in which a watched job has ended without a result; None if it has not, so far.

        A job that has just completed may have a result that this machine does not see yet.
        """
        state, now = self.listed(job), self._clock()
        if state in WAITING | _WORKING:
            self._seen[job] = now
            return None
        if state not in (None, "COMPLETED"):
            return state
        return (state or "no longer listed") if now - self._seen[job] > _UNLISTED_SECONDS else None

    def _look(self) -> None:
        """Read the queue, unless that was done just now; what was read last counts while Slurm is away."""
        if self._looked is not None and self._clock() - self._looked < _INTERVAL_SECONDS:
            return
        command = ["squeue", "--me", "--noheader", "--array", "--states=all", f"--name={self._name}"]
        try:
            done = subprocess.run(
                [*command, "--format=%i %T"], capture_output=True, text=True, check=True, timeout=30
            )
        except (OSError, subprocess.SubprocessError) as error:
            if not self._is_away:
                logger.warning("Slurm does not answer: %s", _reason(error))
            self._is_away = True
            for job in self._seen:  # nobody is lost while nobody can look
                self._seen[job] = self._clock()
            self._looked = self._clock()
            return
        self._is_away = False
        lines = map(str.split, done.stdout.splitlines())
        before, self._states = self._states, {words[0]: words[1] for words in lines}
        self._looked = self._clock()
        self._say_requeued(before)

    def _say_requeued(self, before: Mapping[str, str]) -> None:
        """Say in one line which watched jobs were at work at the last look, and wait again now."""
        jobs = [job for job in self._seen if before.get(job) in _WORKING and self._states.get(job) in WAITING]
        if jobs:
            names = ", ".join(jobs)
            logger.warning(
                "Slurm has requeued %s, whose time was up or place was taken; trials continue", names
            )


def _reason(error: Exception) -> str:
    """Return the first line of what a command has printed before it failed, or of the error itself."""
    printed = getattr(error, "stderr", None) or str(error)
    text = printed.decode(errors="replace") if isinstance(printed, bytes) else printed  # bytes: out of time
    return text.strip().partition("\n")[0]
