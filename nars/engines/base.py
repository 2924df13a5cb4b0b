"""The contract of an engine: it starts workers somewhere, says how they are, and stops them."""

from __future__ import annotations

import signal
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import ClassVar

from nars.engines.assignment import Assignment
from nars.runs.config import SearchConfig

__all__ = ["End", "Engine", "Member", "Start", "manner_of"]


@dataclass(frozen=True)
class End:
    """How a worker ended."""

    code: int
    """Exit code; negative for the signal that killed it."""
    how: str = ""
    """The manner of its death, which completes a sentence that begins with "its worker"."""
    worker: str | None = None
    """Host and number of its process, as in ``host:123:``; None if the engine does not know them."""
    error: str | None = None
    """The last error that it printed, if the engine knows that."""
    where: str = "see above"
    """A clause that says how to learn more."""
    cancelled: bool = False
    """Whether somebody took it away from the engine, so no other is to take its place."""


class Member(ABC):
    """One worker that an engine has started."""

    @abstractmethod
    def end(self) -> End | None:
        """How it ended; None while it works or waits. Raises `EngineAwayError` if the engine is gone."""

    @abstractmethod
    def stop(self) -> None:
        """Ask it to return its trial and to exit, without waiting for that."""

    @abstractmethod
    def kill(self) -> None:
        """End it at once."""

    @property
    def waits(self) -> bool:
        """Whether it has not begun yet, such as a job in a queue."""
        return False


Start = Callable[[Sequence[int]], Iterable[Member]]
"""Starts the workers of these numbers, which count from 0; those that it has yielded when it fails go on."""


class Engine(ABC):
    """A place in which workers run."""

    name: ClassVar[str]
    """Its name on the command line."""

    @abstractmethod
    def default_workers(self, config: SearchConfig) -> int:
        """How many workers to start for a search if nobody says so.

        Raises `UsageError` if the number cannot be known, and `EngineAwayError` if the engine is gone.
        """

    @abstractmethod
    def opened(self, assignment: Assignment, workers: int) -> AbstractContextManager[Start]:
        """Connect for the duration of a block in which so many workers run on this assignment at a time.

        Raises `UsageError` for settings that the engine cannot meet, or `EngineAwayError` if it is not there.
        """


def manner_of(code: int) -> str:
    """Return how a process with this exit code died, for `End.how`."""
    how = signal.Signals(-code).name if code < 0 else f"exit code {code}"
    memory = " (most likely out of memory)" if code == -signal.SIGKILL else ""
    return f"died with {how}{memory}"
