"""Notices that the head of a cluster is gone, before the library of the cluster ends this process for it."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable

from nars.errors import EngineAwayError

__all__ = ["Pulse"]

_INTERVAL_SECONDS = 2.0
"""Seconds between two attempts to connect."""

_GONE_SECONDS = 30.0
"""Seconds without a connection after which a cluster is gone; Ray ends its clients after 60."""


class Pulse:
    """Feels whether somebody listens at an address ``HOST:PORT``; without an address, all is well."""

    def __init__(self, address: str | None, clock: Callable[[], float] = time.monotonic) -> None:
        self._address = address
        self._clock = clock
        self._felt = self._tried = clock()

    def check(self) -> None:
        """Raise `EngineAwayError` if nobody has listened for half a minute."""
        now = self._clock()
        if self._address is None or now - self._tried < _INTERVAL_SECONDS:
            return
        self._tried = now
        host, _, port = self._address.rpartition(":")
        try:
            socket.create_connection((host.strip("[]"), int(port)), timeout=_INTERVAL_SECONDS).close()
        except OSError as error:
            if now - self._felt >= _GONE_SECONDS:
                why = f"the cluster at {self._address} is gone ({error.strerror or error})"
                raise EngineAwayError(f"{why}; the same command goes on from here") from None
        else:
            self._felt = now
