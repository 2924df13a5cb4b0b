"""How signals stop a search: the first one in order, the second one at once."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import threading
from collections.abc import Iterator, Sequence
from types import FrameType

from nars.engines.base import Member

__all__ = ["stoppable"]

_SIGNALS = (signal.SIGINT, signal.SIGTERM)
"""Ctrl-C, and what schedulers send some time before they kill."""


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
