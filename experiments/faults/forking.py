"""Starts a search, and its workers, as copies of a process that has imported everything.

A hundred rounds start more than a thousand processes, and each would import PyTorch for seconds, next to
trainings of a second. A copy is a process like any other, with its own number, session, memory and signals.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import socket
import sys
from collections.abc import Iterator, Sequence
from multiprocessing import get_context
from multiprocessing.context import ForkProcess
from pathlib import Path
from typing import ClassVar

from experiments.faults.waiting import run_nars
from nars.engines import local
from nars.engines.assignment import Assignment
from nars.engines.base import End, Engine, Member, Start, manner_of
from nars.runs.config import SearchConfig
from nars.workers.liveness import name_of

__all__ = ["forked"]

_WORDS = 3
"""Words of a command before the arguments of nars: Python, and the module that it runs."""


_NEW_UTS, _NEW_NET = 0x04000000, 0x40000000
"""Flags of Linux for a host name and for a network of one's own. Source: unshare(2)."""


def forked(command: Sequence[str], log: Path | None = None, host: str | None = None) -> ForkProcess:
    """Start a command of nars as a copy of this process; what it prints is appended to `log`, or lost.

    With a name for its `host`, which takes root, it has that name, so that others cannot look up its process;
    it is in the network namespace of that name, if there is one.
    """
    process = get_context("fork").Process(target=_run, args=(list(command[_WORDS:]), log, host))
    process.start()
    return process


def _run(arguments: list[str], log: Path | None, host: str | None) -> None:
    os.setsid()
    if host is not None:
        _move_to(host)
    with (log or Path(os.devnull)).open("ab") as output:
        for stream in (1, 2):
            os.dup2(output.fileno(), stream)
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.default_int_handler if number == signal.SIGINT else signal.SIG_DFL)
    local.Local = _Forking  # type: ignore[assignment, misc]  # takes its place behind --engine local
    code = run_nars(arguments)
    sys.stdout.flush()
    os._exit(code)


def _move_to(host: str) -> None:
    """Give this process a host name, and the network namespace that ``ip netns add`` made with it."""
    linux, network = ctypes.CDLL(None, use_errno=True), Path("/var/run/netns", host)
    failed = linux.unshare(_NEW_UTS)
    if not failed and network.exists():
        with network.open() as file:
            failed = linux.setns(file.fileno(), _NEW_NET)
    if failed:
        raise OSError(ctypes.get_errno(), "no host of one's own: not root?")
    socket.sethostname(host)


class _Forking(Engine):
    """Starts each worker as a copy of this process."""

    name: ClassVar[str] = "local"

    def default_workers(self, config: SearchConfig) -> int:
        return len(os.sched_getaffinity(0))

    @contextlib.contextmanager
    def opened(self, assignment: Assignment, workers: int) -> Iterator[Start]:
        yield lambda numbers: [_Copy(assignment) for _ in numbers]


class _Copy(Member):
    """A worker that is a copy of this process."""

    def __init__(self, assignment: Assignment) -> None:
        self._process = forked(assignment.command(), assignment.log)

    def end(self) -> End | None:
        code = self._process.exitcode
        if code is None:
            return None
        assert self._process.pid is not None  # it was started
        return End(code, manner_of(code), name_of(self._process.pid))

    def stop(self) -> None:
        self._process.terminate()

    def kill(self) -> None:
        self._process.kill()
