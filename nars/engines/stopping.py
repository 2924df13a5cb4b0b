"""How a search stops: workers return their trials, unless they take too long or a second signal comes."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from types import FrameType
from typing import NoReturn

from nars.engines.base import Member
from nars.errors import EngineAwayError

__all__ = ["Whole", "stop", "stoppable"]

Whole = Callable[[], AbstractContextManager[None]]
"""Opens a block that a first signal does not break off: its exception is raised at the end of the block."""

_SIGNALS = (signal.SIGINT, signal.SIGTERM)
"""Ctrl-C, and what schedulers send some time before they kill."""

_GOES_ON = "the same command goes on from here"

_STOP_SECONDS = 20
"""Seconds that workers have to return their trials and exit before they are killed."""


@contextlib.contextmanager
def stoppable(team: Sequence[Member]) -> Iterator[Whole]:
    """Let signals end the block, at once or, while workers start in a `Whole` that it yields, after that.

    The first one raises `KeyboardInterrupt` (Ctrl-C) or `SystemExit` with 143 (SIGTERM), so workers return
    their trials and results are written. The second one kills the workers of `team`, which may change in
    the meantime, and ends this process. Outside of the main thread, signals do what they did.
    """
    if threading.current_thread() is not threading.main_thread():
        yield contextlib.nullcontext
        return
    received: list[int] = []
    is_held = False

    def receive(number: int, frame: FrameType | None) -> None:
        received.append(number)
        if len(received) > 1:
            for member in team:
                member.kill()
            _say(f"stopped at once; {_GOES_ON}")
            os._exit(128 + number)
        advice = "press Ctrl-C again to stop at once" if number == signal.SIGINT else _GOES_ON
        _say(f"stopping; {advice}")
        if not is_held:
            _raise(number)

    @contextlib.contextmanager
    def whole() -> Iterator[None]:
        nonlocal is_held
        is_held = True
        try:
            yield
        finally:
            is_held = False
        if received:
            _raise(received[0])

    before = {number: signal.signal(number, receive) for number in _SIGNALS}
    try:
        yield whole
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _raise(number: int) -> NoReturn:
    if number == signal.SIGINT:
        raise KeyboardInterrupt
    raise SystemExit(128 + number)


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
