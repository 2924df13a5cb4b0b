"""How a search stops: workers return their trials, unless they take too long or a second signal comes."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from types import FrameType

from nars.engines.base import Member
from nars.errors import EngineAwayError

__all__ = ["stop", "stoppable"]

_SIGNALS = (signal.SIGINT, signal.SIGTERM)
"""Ctrl-C, and what schedulers send some time before they kill."""

_STOP_SECONDS = 20
"""Seconds that workers have to return their trials and exit before they are killed."""


@contextlib.contextmanager
def stoppable(team: Sequence[Member]) -> Iterator[None]:
    """Let signals end the block.

    The first one raises `KeyboardInterrupt` (Ctrl-C) or `SystemExit` with 143 (SIGTERM), so workers return
    their trials and results are written. The second one kills the workers of `team`, which may change in
    the meantime, and ends this process. Outside of the main thread, signals do what they did.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    received: list[int] = []

    def receive(number: int, frame: FrameType | None) -> None:
        received.append(number)
        if len(received) > 1:
            for member in team:
                member.kill()
            _say("stopped at once; the same command goes on from here")
            os._exit(128 + number)
        if number == signal.SIGINT:
            _say("stopping; press Ctrl-C again to stop at once")
            raise KeyboardInterrupt
        _say("stopping; the same command goes on from here")
        raise SystemExit(128 + number)

    before = {number: signal.signal(number, receive) for number in _SIGNALS}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _say(line: str) -> None:
    """Print a line on a terminal that a progress bar may have left without a cursor."""
    show_cursor = "\x1b[?25h" if sys.stderr.isatty() else ""
    print(f"{show_cursor}nars: {line}", file=sys.stderr, flush=True)


def stop(team: Sequence[Member]) -> None:
    """Ask the remaining workers to return their trials and exit; kill those that do not."""
    left = [member for member in team if _works(member)]
    for member in left:
        member.stop()
    deadline = time.monotonic() + _STOP_SECONDS
    while (left := [member for member in left if _works(member)]) and time.monotonic() < deadline:
        time.sleep(0.05)
    for member in left:
        member.kill()


def _works(member: Member) -> bool:
    """Whether a worker has not ended; False if its engine is gone."""
    try:
        return member.end() is None
    except EngineAwayError:
        return False
