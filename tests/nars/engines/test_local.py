"""Workers as processes of this machine: how many, with which arguments and which GPU."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import psutil
import pytest
import torch
from stub_task import config

from nars.artifacts.store import open_store
from nars.engines import local as local_engine
from nars.engines.assignment import Assignment
from nars.engines.local import Local
from nars.engines.supervise import supervise
from nars.errors import RunError
from nars.runs.run import start_run


def test_a_worker_is_told_all_that_it_needs(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    told: dict[str, Any] = {}

    def popen(command: list[str], **options: Any) -> None:
        told.update(command=command, **options)

    monkeypatch.setattr(subprocess, "Popen", popen)
    run = start_run(tmp_path / "run", config("4"), f"sqlite:///{tmp_path}/somewhere.db")
    store = open_store(tmp_path / "store", create=True)
    with Local().opened(Assignment.of(run, store), 1) as start:
        list(start([0]))
    assert told["command"][1:4] == ["-m", "nars", "worker"]
    pairs = dict(zip(told["command"][4::2], told["command"][5::2], strict=True))
    assert pairs == {
        "--storage": f"sqlite:///{tmp_path}/somewhere.db",
        "--study": "run",
        "--parent": str(os.getpid()),
        "--device": "cpu",
        "--artifacts": str(tmp_path / "store"),
    }
    assert told["start_new_session"]
    own = start_run(tmp_path / "own", config("4", objectives=("mine:f",)), f"sqlite:///{tmp_path}/own.db")
    with Local().opened(Assignment.of(own, store), 1) as start:
        list(start([0]))
    assert told["command"][-2:] == ["--metric", "mine:f"]
    assert told["env"]["OMP_NUM_THREADS"] == "1"
    assert "CUDA_VISIBLE_DEVICES" not in told["env"] or "CUDA_VISIBLE_DEVICES" in os.environ


def test_workers_are_stopped_if_the_next_one_cannot_start(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    started: list[subprocess.Popen[bytes]] = []

    def popen(command: list[str], **options: Any) -> subprocess.Popen[bytes]:
        if started:
            raise BlockingIOError(errno.EAGAIN, os.strerror(errno.EAGAIN))
        started.append(real([sys.executable, "-c", "import time; time.sleep(60)"]))
        return started[0]

    real = subprocess.Popen
    monkeypatch.setattr(subprocess, "Popen", popen)
    run = start_run(tmp_path / "run", config("4"), f"sqlite:///{tmp_path}/somewhere.db")
    store = open_store(tmp_path / "store", create=True)
    with pytest.raises(RunError, match="worker 1 cannot be started"):
        supervise(run, run.study(), store, Local(), workers=2)
    assert started[0].wait(timeout=10) == -signal.SIGTERM


@pytest.mark.parametrize(
    ("count", "visible", "expected"),
    [(0, None, [{}] * 3), (1, None, [{}] * 3), (2, None, ["0", "1", "0"]), (2, "5,3", ["5", "3", "5"])],
)
def test_each_worker_sees_one_gpu(
    monkeypatch: pytest.MonkeyPatch, count: int, visible: str | None, expected: list[Any]
) -> None:
    monkeypatch.setattr(torch.cuda, "device_count", lambda: count)
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    if visible is not None:
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    found = [local_engine._gpu(index) for index in range(3)]
    assert found == [each if each == {} else {"CUDA_VISIBLE_DEVICES": each} for each in expected]


@pytest.mark.parametrize(
    ("device", "gpus", "expected"),
    [("auto", 3, 3), ("cuda", 3, 3), ("cuda:1", 3, 1), ("cpu", 3, None), ("auto", 0, None)],
)
def test_workers_by_default(
    monkeypatch: pytest.MonkeyPatch, device: str, gpus: int, expected: int | None
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: gpus > 0)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: gpus)
    cores = (
        len(psutil.Process().cpu_affinity()) if hasattr(psutil.Process, "cpu_affinity") else os.cpu_count()
    )
    assert Local().default_workers(config("4").replace(device=device)) == (expected or cores)
