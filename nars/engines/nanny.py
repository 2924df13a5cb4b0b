"""Runs one worker as a process below this one, wherever that is."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

from nars.engines.assignment import Assignment, last_error
from nars.engines.base import End, manner_of
from nars.workers.liveness import name_of

__all__ = ["Nanny"]


class Nanny:
    """Starts a worker, passes its output on, says how it ended, and stops it if it is asked to."""

    def __init__(self, number: int) -> None:
        self._number = number
        self._process: subprocess.Popen[str] | None = None
        self._stopped = False

    def __repr__(self) -> str:
        return f"worker {self._number}"

    def begun(self) -> bool:
        """True, which tells who asks that there is room for this worker."""
        return True

    def work(self, assignment: Assignment, folder: Path, secrets: Mapping[str, str]) -> End:
        """Run a worker in `folder`, if this machine has it, with `secrets` in its environment, to its end.

        Signals that are meant for this process do not reach the worker.
        """
        with _held_back(signal.SIGUSR2):
            self._process = subprocess.Popen(
                assignment.command(),
                env={**os.environ, **secrets},
                cwd=folder if folder.is_dir() else None,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                errors="replace",
                start_new_session=True,
            )
        if self._stopped:
            self.stop()
        error = None
        assert self._process.stdout is not None
        with self._process.stdout as lines:
            for line in lines:
                print(line, end="", file=sys.stderr, flush=True)
                error = last_error(line) or error
        code = self._process.wait()
        return End(code, manner_of(code), name_of(self._process.pid), error)

    def finish(self) -> None:
        """Stop the worker, and wait until it has returned its trial."""
        self.stop()
        if self._process is not None:
            self._process.wait()

    def stop(self) -> None:
        """Ask the worker to return its trial and to exit; also one that is only about to be started."""
        self._stopped = True
        if self._process is not None:
            with contextlib.suppress(ProcessLookupError):
                self._process.send_signal(signal.SIGTERM)


@contextlib.contextmanager
def _held_back(number: signal.Signals) -> Iterator[None]:
    """Block a signal within the block; processes that it starts never get it.

    Slurm warns every process of a job of its time limit, also a worker, whom this signal would kill.
    """
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {number})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
