"""Ends a process with the one that started it, which may be killed without a chance to end its children."""

from __future__ import annotations

import os
import signal
import threading
import time

__all__ = ["end_with"]

_SECONDS = 0.5
"""Time between two looks at the parent."""


def end_with(parent: int) -> None:
    """Send this process SIGTERM once it is no longer a child of the process `parent`."""
    threading.Thread(target=_watch, args=(parent,), daemon=True).start()


def _watch(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(_SECONDS)
    os.kill(os.getpid(), signal.SIGTERM)
