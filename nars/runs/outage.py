"""Storages that are away for a while: which errors mean that, how long to wait, when not to wait at all.

A database restarts, a network is cut, a disk is full. None of these is a reason to end a search: a call is
repeated with growing pauses until the storage answers again. Code that has something better to do than to
wait, such as a training, makes its calls `impatient`.
"""

from __future__ import annotations

import contextlib
import logging
import sys
import threading
import time
from collections.abc import Callable, Iterator
from typing import TypeVar

from sqlalchemy import exc as sql

from nars.errors import StorageAwayError

__all__ = ["Outage", "impatient", "is_outage", "reason_of"]

logger = logging.getLogger(__name__)

T = TypeVar("T")

PATIENCE_SECONDS = 3600.0
"""Longest outage that a call waits for."""

_FIRST_PAUSE = 0.25
"""Seconds of the first pause; each one is twice as long as the one before."""

_LONGEST_PAUSE = 10.0
"""Seconds of the longest pause; heartbeats have to be back before a worker counts as silent."""

_AWAY_CODES = {"UNAVAILABLE", "DEADLINE_EXCEEDED", "UNKNOWN", "INTERNAL", "CANCELLED", "ABORTED"}
"""Status codes of gRPC with which a proxy, or the storage behind it, is away."""

_mode = threading.local()


@contextlib.contextmanager
def impatient() -> Iterator[None]:
    """Raise `StorageAwayError` from calls of this thread within the block, instead of waiting."""
    before = getattr(_mode, "impatient", False)
    _mode.impatient = True
    try:
        yield
    finally:
        _mode.impatient = before


def is_outage(error: BaseException) -> bool:
    """Whether an error of a storage is likely to pass: no connection, no space, no answer in time."""
    return _is_away(error) or (error.__cause__ is not None and _is_away(error.__cause__))


def _is_away(error: BaseException) -> bool:
    """Whether an error itself, whatever its cause, is likely to pass."""
    if isinstance(error, sql.DBAPIError):
        return isinstance(error, sql.OperationalError | sql.InterfaceError) or error.connection_invalidated
    # A pending rollback is that of a connection which was cut while its results were read.
    if isinstance(error, sql.PendingRollbackError | sql.TimeoutError | OSError):
        return True
    return _grpc_code(error) in _AWAY_CODES


def reason_of(error: BaseException) -> str:
    """Return the first line of what a driver says, without the wrapping of other libraries."""
    cause = error if error.__cause__ is None or _is_away(error) else error.__cause__
    if isinstance(cause, sql.DBAPIError) and cause.orig is not None:
        cause = cause.orig
    if isinstance(cause, sql.PendingRollbackError):
        return "its connection was cut"
    if isinstance(cause, OSError) and cause.strerror:
        return cause.strerror
    details = getattr(cause, "details", None)
    text = str(details() if callable(details) else cause).strip()
    return text.partition("\n")[0] or type(cause).__name__


def _grpc_code(error: BaseException) -> str | None:
    """Return the name of the status code of an error of gRPC, which is an optional package."""
    code = getattr(error, "code", None)
    if not type(error).__module__.startswith("grpc") or not callable(code):
        return None
    return str(getattr(code(), "name", ""))


def _interruption_in(error: BaseException, handled: BaseException | None) -> BaseException | None:
    """Return the signal that an error took the place of, if it came after the one that is `handled`.

    What ends a call of a database that is away rolls back, which fails and hides it.
    """
    context = error.__context__
    while context is not None and context is not handled:
        if isinstance(context, KeyboardInterrupt | SystemExit):
            return context
        context = context.__context__
    return None


class Outage:
    """Repeats the calls of one storage while it is away; all threads of a process share what it knows."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._since: float | None = None
        """When the storage was first found to be away; None while it answers."""
        self._tried = 0.0
        """When a call failed last."""
        self._lock = threading.Lock()

    def outlast(self, call: Callable[[], T]) -> T:
        """Return what `call` returns, once it does.

        Raises `StorageAwayError` if the storage is away for longer than an hour, or at all if this thread is
        `impatient`.
        """
        began, pause, handled = time.monotonic(), _FIRST_PAUSE, sys.exception()
        while True:
            self._refuse_if_known()
            try:
                result = call()
            except Exception as error:  # each driver raises its own
                if (signal := _interruption_in(error, handled)) is not None:
                    raise signal from None
                if not is_outage(error):
                    raise
                self._began(reason_of(error))
                if time.monotonic() - began > PATIENCE_SECONDS:
                    away = f"{self._name} is away for {PATIENCE_SECONDS / 60:.0f} minutes"
                    raise StorageAwayError(f"{away}: {reason_of(error)}") from None
                if getattr(_mode, "impatient", False):
                    raise StorageAwayError(f"{self._name} is away: {reason_of(error)}") from None
            else:
                self._ended()
                return result
            time.sleep(pause)
            pause = min(2 * pause, _LONGEST_PAUSE)

    def _refuse_if_known(self) -> None:
        """Do not even try again, if this thread is impatient and a call has failed just now."""
        if (
            getattr(_mode, "impatient", False)
            and self._since is not None
            and time.monotonic() - self._tried < _LONGEST_PAUSE
        ):
            raise StorageAwayError(f"{self._name} is away")

    def _began(self, reason: str) -> None:
        with self._lock:
            self._tried = time.monotonic()
            if self._since is None:
                self._since = self._tried
                logger.warning("%s does not answer: %s; waiting, trainings go on", self._name, reason)

    def _ended(self) -> None:
        if self._since is None:
            return
        with self._lock:
            if self._since is not None:
                logger.warning("%s answers again after %.0f s", self._name, time.monotonic() - self._since)
                self._since = None
