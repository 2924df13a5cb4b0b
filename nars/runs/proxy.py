"""Optuna's proxy in front of a database: many workers, few connections, a cache between them."""

from __future__ import annotations

import ipaddress
import socket
import warnings
from collections.abc import Callable
from importlib.util import find_spec

from optuna.exceptions import ExperimentalWarning
from optuna.storages import run_grpc_proxy_server

from nars.errors import UsageError
from nars.runs.passwords import complete
from nars.runs.storage import PROXY, open_storage, shown

__all__ = ["is_loopback", "serve"]


def serve(storage: str, host: str, port: int, say: Callable[[str], None]) -> None:
    """Serve the database `storage` at this address until the process is ended.

    An outage of the database is waited out here, so its workers notice nothing. Raises `UsageError` for a
    storage that cannot be served and for an address that is taken, `RunError` for a storage that cannot be
    opened.
    """
    if find_spec("grpc") is None:
        raise UsageError("nars storage needs grpcio: pip install 'nars[grpc]'")
    if storage.endswith(".journal") or storage.startswith(PROXY):
        raise UsageError(f"a proxy serves a database, got {shown(storage)}: give postgresql://...")
    opened = open_storage(complete(storage))
    _check_is_free(host, port)
    if not is_loopback(host):
        say(f"warning: whoever reaches {host}:{port} can change the search: the proxy asks for no password")
    say(f"serving {shown(storage)} at {PROXY}{host}:{port}")
    with warnings.catch_warnings(category=ExperimentalWarning, action="ignore"):
        try:
            run_grpc_proxy_server(opened, host=host, port=port)
        except RuntimeError as error:  # how gRPC says that an address is taken
            raise UsageError(f"cannot serve at {host}:{port}: {str(error).partition(chr(10))[0]}") from None


def _check_is_free(host: str, port: int) -> None:
    """Raise `UsageError` for an address that is taken, or none of this machine's.

    gRPC itself would share a port with another server of its kind, and each gets some of the calls.
    """
    try:
        family, *_, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        with socket.socket(family, socket.SOCK_STREAM) as trial:
            trial.setsockopt(
                socket.SOL_SOCKET, socket.SO_REUSEADDR, 1
            )  # connections that just ended do not count
            trial.bind(address)
    except OSError as error:
        raise UsageError(
            f"cannot serve at {host}:{port}: {error.strerror or error}; give --port or --host"
        ) from None


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach an address."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
