"""Notices that the head of a cluster is gone, before the library of the cluster ends this process for it."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable, Sequence

from nars.errors import EngineAwayError

__all__ = ["Pulse"]

_INTERVAL_SECONDS = 2.0
"""Seconds between two attempts to connect."""

_GONE_SECONDS = 30.0
"""Seconds without a connection after which a cluster is gone; Ray ends its clients after 60."""


class Pulse:
    """Feels whether somebody listens at each of some addresses ``HOST:PORT``; without any, all is well."""

    def __init__(self, addresses: Sequence[str], clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._tried = clock()
        self._felt = dict.fromkeys(addresses, self._tried)
        """When somebody listened last, by address."""

    def check(self) -> None:
        """Raise `EngineAwayError` if nobody has listened at one of the addresses for half a minute."""
        now = self._clock()
        if now - self._tried < _INTERVAL_SECONDS:
            return
        self._tried = now
        for address, felt in self._felt.items():
            host, _, port = address.rpartition(":")
            try:
                socket.create_connection((host.strip("[]"), int(port)), timeout=_INTERVAL_SECONDS).close()
            except OSError as error:
                if now - felt >= _GONE_SECONDS:
                    why = f"the cluster at {address} is gone ({error.strerror or error})"
                    raise EngineAwayError(
                        f"{why}; once it is back, the same command goes on from here"
                    ) from None
            else:
                self._felt[address] = now
