"""Workers as actors of Ray, on one machine or on many.

Each actor runs ``nars worker`` in a process of its own, which has its own signals, threads and memory. Ray
gives the actor its share of a machine and starts it again elsewhere if that machine dies; the worker, whose
parent is gone, returns its trial. What workers print reaches this terminal.
"""

from __future__ import annotations

import contextlib
import logging
import os
import socket
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from types import MappingProxyType
from typing import Any, ClassVar

from nars.engines.assignment import Assignment
from nars.engines.base import End, Engine, Member, Start
from nars.engines.nanny import Nanny
from nars.engines.pulse import Pulse
from nars.errors import EngineAwayError, UsageError
from nars.foreign.paths import inherited
from nars.runs.config import SearchConfig
from nars.runs.passwords import secrets

__all__ = ["Ray"]

logger = logging.getLogger(__name__)

_RESTARTS = 100
"""How often Ray starts an actor again whose process or machine died, before the search notices."""

_CALLS = 4
"""Calls of an actor at the same time: the work, and the questions how it is."""

_CLIENT = "ray://"
"""Beginning of the address of a cluster that is reached through its proxy."""

_PATIENCE_SECONDS = 10.0
"""Time for a call of Ray that may never return, because the cluster is gone."""


@dataclass(frozen=True)
class Ray(Engine):
    """A cluster of Ray; each worker takes these resources of it."""

    name: ClassVar[str] = "ray"

    address: str | None = None
    """``auto``, ``HOST:PORT`` or ``ray://HOST:PORT``; None takes ``RAY_ADDRESS``, a cluster that runs on this
    machine, or starts one."""
    cpus: float = 1.0
    gpus: float | None = None
    """A share of a GPU lets several workers have the same one. By default 1 if the cluster has any and the
    search may use it."""
    resources: Mapping[str, float] = field(default_factory=lambda: MappingProxyType({}))
    """Resources that the cluster has names for, and ``memory`` in bytes."""

    def default_workers(self, config: SearchConfig) -> int:
        """Return how many workers the resources of the cluster suffice for."""
        ray = self._connected()
        have = ray.cluster_resources()
        needs = {"CPU": self.cpus, "GPU": self._gpus(config.device), **self.resources}
        return max(1, int(min(have.get(name, 0) / need for name, need in needs.items() if need)))

    @contextlib.contextmanager
    def opened(self, assignment: Assignment, workers: int) -> Iterator[Start]:
        ray = self._connected()
        _check_storage(assignment.storage, ray.nodes())
        pulse = Pulse([] if _is_client(self.address) else _addresses(ray))
        options = self._options(assignment.device)
        _say_if_none_fits(ray.nodes(), {"CPU": self.cpus, "GPU": options["num_gpus"], **self.resources})

        def start(numbers: Sequence[int]) -> list[Member]:
            pulse.check()
            actor = ray.remote(Nanny).options(**options)
            return [_Actor(ray, actor.remote(number), assignment, pulse) for number in numbers]

        try:
            yield start
        finally:
            _within_patience(ray.shutdown)

    def _connected(self) -> Any:
        """Connect, and return the module. Raises `UsageError` or `EngineAwayError`."""
        if find_spec("ray") is None:
            raise UsageError("--engine ray needs Ray: pip install 'nars[ray]'")
        os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
        import ray

        if ray.is_initialized():
            return ray
        listens = _check_listens(self.address or os.environ.get("RAY_ADDRESS", ""))
        try:
            ray.init(address=self.address, logging_level=logging.WARNING, log_to_driver=True)
        except (OSError, RuntimeError, ValueError, ray.exceptions.RayError) as error:
            why = str(error).partition("\n")[0]
            if listens:  # trying again will not help
                raise UsageError(
                    f"what answers at {self.address} does not take this process: {why}; if it is a Ray that "
                    f"asks for a token, set RAY_AUTH_MODE=token; its version must be {ray.__version__}"
                ) from None
            where = f"at {self.address}" if self.address else "on this machine"
            raise EngineAwayError(f"no Ray {where}: {why}") from None
        return ray

    def _gpus(self, device: str) -> float:
        if self.gpus is not None:
            return self.gpus
        return min(1.0, self._connected().cluster_resources().get("GPU", 0.0)) if device != "cpu" else 0.0

    def _options(self, device: str) -> dict[str, Any]:
        """The options of an actor."""
        resources = dict(self.resources)
        memory = {"memory": resources.pop("memory")} if "memory" in resources else {}
        return {
            "num_cpus": self.cpus,
            "num_gpus": self._gpus(device),
            "resources": resources,
            "scheduling_strategy": "SPREAD",
            "max_restarts": _RESTARTS,
            "max_task_retries": -1,
            "max_concurrency": _CALLS,
            **memory,
        }


class _Actor(Member):
    """A worker in the care of an actor.

    Variables of this process travel as an argument of its call, which Ray shows nowhere, unlike an
    environment: some are passwords.
    """

    def __init__(self, ray: Any, actor: Any, assignment: Assignment, pulse: Pulse) -> None:
        self._ray = ray
        self._actor = actor
        self._pulse = pulse
        self._begun = actor.begun.remote()
        self._work = actor.work.remote(assignment, Path.cwd(), secrets() | inherited())

    def end(self) -> End | None:
        self._pulse.check()
        if not self._is_there(self._work):
            return None
        try:
            result: End = self._ray.get(self._work)
        except self._ray.exceptions.RayError as error:
            why = str(error).strip().partition("\n")[0]
            return End(1, f"was lost by Ray ({why})")
        return result

    def stop(self) -> None:
        self._actor.stop.remote()

    def kill(self) -> None:
        _within_patience(lambda: self._ray.kill(self._actor))

    @property
    def waits(self) -> bool:
        """Whether the cluster has had no room for it yet."""
        return not self._is_there(self._begun)

    def _is_there(self, answer: Any) -> bool:
        ready, _ = self._ray.wait([answer], timeout=0)
        return bool(ready)


def _check_storage(storage: str, nodes: Sequence[Mapping[str, Any]]) -> None:
    """Raise `UsageError` for a storage that serves one machine, in a cluster of several."""
    machines = {node["NodeManagerHostname"] for node in nodes if node["Alive"]}
    is_file = "://" not in storage or storage.startswith("sqlite")
    if is_file and len(machines) > 1:
        raise UsageError(
            f"{storage} serves one machine, and Ray has {len(machines)}: give --storage postgresql://..."
        )


def _say_if_none_fits(nodes: Sequence[Mapping[str, Any]], needs: Mapping[str, float]) -> None:
    """Log that workers wait if no machine has what one of them needs; a cluster may get more machines."""
    for node in nodes:
        have = node["Resources"]
        if node["Alive"] and all(have.get(name, 0.0) >= need for name, need in needs.items()):
            return
    need = ", ".join(f"{name} {amount:g}" for name, amount in needs.items() if amount)
    logger.warning("no machine of Ray's has %s: workers wait for one; --worker-option changes it", need)


def _addresses(ray: Any) -> list[str]:
    """The addresses without which this process can do nothing: Ray's head, and the raylet of this machine."""
    context = ray.get_runtime_context()
    here = [node for node in ray.nodes() if node["NodeID"] == context.get_node_id()]
    return [
        context.gcs_address,
        *(f"{node['NodeManagerAddress']}:{node['NodeManagerPort']}" for node in here),
    ]


def _check_listens(address: str) -> bool:
    """Raise `EngineAwayError` if nobody answers at ``HOST:PORT`` or ``ray://HOST:PORT``.

    Ray itself tries for minutes. Return False for another address, at which nothing can be asked.
    """
    host, _, port = address.removeprefix(_CLIENT).rpartition(":")
    if not host or not port.isdigit():  # such as auto, which is a file of this machine
        return False
    try:
        socket.create_connection((host.strip("[]"), int(port)), timeout=_PATIENCE_SECONDS).close()
    except OSError as error:
        why = f"no Ray at {address}: {error.strerror or error}"
        raise EngineAwayError(
            f"{why}; start one there, ray start --head, or give another --address"
        ) from None
    return True


def _is_client(address: str | None) -> bool:
    """Whether Ray is reached through a proxy, which sees to the connection."""
    return (address or os.environ.get("RAY_ADDRESS", "")).startswith(_CLIENT)


def _within_patience(call: Callable[[], object]) -> None:
    """Make a call in another thread, and leave it there if it does not return."""
    thread = threading.Thread(target=call, daemon=True)
    thread.start()
    thread.join(_PATIENCE_SECONDS)
