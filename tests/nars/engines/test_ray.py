"""Workers as actors of Ray: which resources, what is refused, and a cluster that is killed piece by piece."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import time
from pathlib import Path

import psutil
import pytest
from stub_task import config

from experiments.faults import search_command
from nars.engines.ray import Ray, _check_storage, _say_if_none_fits
from nars.errors import EngineAwayError, UsageError
from nars.runs.run import open_run
from nars.trials import counts

NODES = [
    {"NodeManagerHostname": name, "Alive": alive} for name, alive in [("a", True), ("a", True), ("b", False)]
]


def test_a_file_serves_one_machine() -> None:
    _check_storage("study.journal", NODES)
    _check_storage("postgresql://db/nars", [*NODES, {"NodeManagerHostname": "c", "Alive": True}])
    with pytest.raises(UsageError, match=r"study.journal serves one machine, and Ray has 2: give --storage"):
        _check_storage("study.journal", [*NODES, {"NodeManagerHostname": "c", "Alive": True}])


def test_a_worker_takes_its_share() -> None:
    options = Ray(cpus=2, gpus=0.25, resources={"memory": 1e9, "fast": 1})._options("cuda")
    assert (options["num_cpus"], options["num_gpus"], options["memory"]) == (2, 0.25, 1e9)
    assert options["resources"] == {"fast": 1}


def test_workers_that_no_machine_has_room_for_are_said(caplog: pytest.LogCaptureFixture) -> None:
    nodes = [
        {"Alive": True, "Resources": {"CPU": 4.0}},
        {"Alive": False, "Resources": {"CPU": 4.0, "GPU": 1.0}},
    ]
    _say_if_none_fits(nodes, {"CPU": 4.0, "GPU": 0.0})
    assert caplog.text == ""
    _say_if_none_fits(nodes, {"CPU": 1.0, "GPU": 1.0})
    assert "no machine of Ray's has CPU 1, GPU 1: workers wait for one" in caplog.text


@pytest.mark.parametrize("scheme", ["", "ray://"])
def test_an_address_at_which_nobody_listens_is_said_at_once(scheme: str) -> None:
    pytest.importorskip("ray")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"{scheme}127.0.0.1:{free.getsockname()[1]}"
    with pytest.raises(EngineAwayError, match=f"no Ray at {address}: Connection refused; start one there"):
        Ray(address).default_workers(config("4"))


def test_a_server_that_refuses_is_a_mistake_that_trying_again_does_not_mend(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    ray = pytest.importorskip("ray")

    def init(**options: object) -> None:
        raise ConnectionError("Failed to connect to Ray cluster\nmore")

    monkeypatch.setattr(ray, "init", init)
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen()
        address = f"127.0.0.1:{server.getsockname()[1]}"
        refused = f"what answers at {address} does not take this process: Failed .* set RAY_AUTH_MODE=token"
        with pytest.raises(UsageError, match=refused):
            Ray(address).default_workers(config("4"))
    with pytest.raises(EngineAwayError, match="no Ray at auto: Failed to connect"):
        Ray("auto").default_workers(config("4"))


def running_workers(ancestor: int) -> list[psutil.Process]:
    """The worker processes of a search, below the actors of the Ray that a process has started."""
    workers = []
    for member in psutil.Process(ancestor).children(recursive=True):
        with contextlib.suppress(psutil.NoSuchProcess):  # it has just ended
            words = member.cmdline()
            workers += [member] if "worker" in words and "--study" in words else []
    return workers


def wait_for_workers(ancestor: int, besides: set[int]) -> list[psutil.Process]:
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline:
        found = [worker for worker in running_workers(ancestor) if worker.pid not in besides]
        if len(found) >= (1 if besides else 2):
            return found
        time.sleep(0.5)
    raise AssertionError("no worker was started")


@pytest.mark.cluster
def test_a_killed_actor_and_a_killed_worker_are_replaced(tmp_path: Path) -> None:
    pytest.importorskip("ray")
    command = [*search_command(tmp_path / "run", 40, 2, None, "ray"), "--address", "local"]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    first = wait_for_workers(process.pid, set())
    first[0].parent().kill()  # the actor, which Ray starts again
    second = wait_for_workers(process.pid, {worker.pid for worker in first})
    second[0].kill()
    _, said = process.communicate(timeout=400)
    assert process.returncode == 0, said
    assert "(worker 0 pid=" in said or "(worker 1 pid=" in said or "trial 0:" in said
    assert sum(map(counts, open_run(tmp_path / "run").study().trials)) == 40


@pytest.mark.cluster
@pytest.mark.parametrize("program", ["gcs_server", "raylet"])
def test_a_head_that_dies_is_said_with_a_code_that_means_again(tmp_path: Path, program: str) -> None:
    pytest.importorskip("ray")
    command = [*search_command(tmp_path / "run", 4000, 2, None, "ray"), "--address", "local"]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    wait_for_workers(process.pid, set())
    for member in psutil.Process(process.pid).children(recursive=True):
        if program in member.name():
            os.kill(member.pid, signal.SIGKILL)
    _, said = process.communicate(timeout=200)
    assert process.returncode == os.EX_TEMPFAIL, said
    assert "is gone" in said
    assert "the same command goes on from here" in said


@pytest.mark.cluster
def test_workers_of_a_killed_raylet_go_on_at_another(tmp_path: Path) -> None:
    pytest.importorskip("ray")
    from ray.cluster_utils import Cluster

    cluster = Cluster()
    try:
        cluster.add_node(num_cpus=0)
        nodes = [cluster.add_node(num_cpus=2) for _ in range(2)]
        command = [*search_command(tmp_path / "run", 40, 2, None, "ray"), "--address", cluster.address]
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
        first = wait_for_workers(os.getpid(), set())
        cluster.remove_node(nodes[0], allow_graceful=False)
        wait_for_workers(os.getpid(), {worker.pid for worker in first})
        _, said = process.communicate(timeout=400)
    finally:
        cluster.shutdown()
    assert process.returncode == 0, said
    assert sum(map(counts, open_run(tmp_path / "run").study().trials)) == 40
