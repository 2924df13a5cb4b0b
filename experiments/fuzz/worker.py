"""A process that judges cases, so that one which kills or blocks its process is a fault like others."""

from __future__ import annotations

import multiprocessing
import os
import signal
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from types import TracebackType
from typing import Self

from experiments.fuzz.judge import SECONDS, WAITING, Case, Kind, Verdict, judge, warm

__all__ = ["Worker"]

_GRACE = 30
"""Seconds after the end of its time in which a worker has to answer."""


class Worker:
    """Judges cases of a kind in a process of its own, which is forked and started again after its death."""

    def __init__(self, kind: Kind) -> None:
        warm()  # once, and not in every process
        self._kind = kind
        self._process, self._pipe = _forked(kind)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop()

    def judge(self, case: Case) -> Verdict:
        """Judge one case."""
        self._pipe.send(dict(case))
        try:
            if self._pipe.poll(WAITING + _GRACE):
                verdict: Verdict = self._pipe.recv()
                return verdict
            fault = f"more than {SECONDS} seconds, and cannot be interrupted"
        except EOFError:
            self._process.join()
            fault = f"the process died with code {self._process.exitcode}"
        self._stop()
        self._process, self._pipe = _forked(self._kind)
        return Verdict(fault, refused=False, seconds=0.0, memory=0)

    def _stop(self) -> None:
        self._pipe.close()
        if self._process.is_alive() and self._process.pid is not None:
            os.kill(self._process.pid, signal.SIGKILL)
        self._process.join()


def _forked(kind: Kind) -> tuple[BaseProcess, Connection]:
    ours, theirs = multiprocessing.Pipe()
    process = multiprocessing.get_context("fork").Process(target=_serve, args=(kind, theirs, ours))
    process.start()
    theirs.close()
    return process, ours


def _serve(kind: Kind, pipe: Connection, other: Connection) -> None:
    """Judge what comes through the pipe until its other end is closed."""
    other.close()
    while True:
        try:
            case = pipe.recv()
        except EOFError:
            return
        pipe.send(judge(kind, case))
