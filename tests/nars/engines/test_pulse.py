"""A cluster whose head is gone for half a minute ends the search with a line, before Ray ends the process."""

from __future__ import annotations

import socket

import pytest

from nars.engines.pulse import Pulse
from nars.errors import EngineAwayError


def test_half_a_minute_without_a_listener_is_the_end() -> None:
    now = [0.0]
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen()
        address = f"127.0.0.1:{server.getsockname()[1]}"
        pulse = Pulse([address], lambda: now[0])
        now[0] = 100.0
        pulse.check()
    now[0] = 129.0
    pulse.check()
    now[0] = 131.0
    with pytest.raises(EngineAwayError, match=f"{address} is gone .*the same command goes on from here"):
        pulse.check()


def test_without_an_address_all_is_well() -> None:
    now = [0.0]
    pulse = Pulse([], lambda: now[0])
    now[0] = 1000.0
    pulse.check()


def test_each_address_counts() -> None:
    now = [0.0]
    with socket.socket() as first:
        first.bind(("127.0.0.1", 0))
        first.listen()
        with socket.socket() as second:
            second.bind(("127.0.0.1", 0))
            gone = f"127.0.0.1:{second.getsockname()[1]}"
        pulse = Pulse([f"127.0.0.1:{first.getsockname()[1]}", gone], lambda: now[0])
        now[0] = 29.0
        pulse.check()
        now[0] = 31.0
        with pytest.raises(EngineAwayError, match=f"the cluster at {gone} is gone"):
            pulse.check()
