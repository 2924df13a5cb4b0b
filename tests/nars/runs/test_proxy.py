"""A proxy serves at an address of its own, which nobody else has."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from nars.errors import UsageError
from nars.runs.proxy import is_loopback, serve


def test_an_address_that_is_taken_is_refused_before_anything_is_served(tmp_path: Path) -> None:
    """The other server shares its port, as those of gRPC do."""
    pytest.importorskip("grpc")
    said: list[str] = []
    with socket.socket() as other:
        other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        with pytest.raises(UsageError, match=f"cannot serve at 127.0.0.1:{port}: Address already in use"):
            serve(f"sqlite:///{tmp_path / 'study.db'}", "127.0.0.1", port, said.append)
    with pytest.raises(UsageError, match=r"cannot serve at no\.such\.host\.invalid:13000: "):
        serve(f"sqlite:///{tmp_path / 'study.db'}", "no.such.host.invalid", 13000, said.append)
    assert said == []


def test_only_this_machine_reaches_loopback() -> None:
    assert is_loopback("localhost")
    assert is_loopback("127.0.0.1")
    assert not is_loopback("0.0.0.0")
    assert not is_loopback("elsewhere")
