"""Workers that share GPUs: how many, and the service that lets their kernels run side by side."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
from pathlib import Path
from typing import Any

import psutil
import pytest
import torch
from stub_task import config

from nars.engines import gpus
from nars.engines.gpus import shared_gpus, workers_on_gpus

MPS = """#!/bin/sh
if [ "$1" = "-f" ]; then
    echo "$CUDA_MPS_PIPE_DIRECTORY:$CUDA_VISIBLE_DEVICES" > "$STARTED"
    while [ ! -e "$CUDA_MPS_PIPE_DIRECTORY/quit" ]; do sleep 0.05; done
else
    read word _
    touch "$STARTED.$word"
    touch "$CUDA_MPS_PIPE_DIRECTORY/quit"
fi
"""
"""A stand-in for the control program of MPS: it notes how it was started, and ends when it is told to."""


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """Pretend that this machine has MPS; the file says how it was started."""
    program = tmp_path / "bin" / "nvidia-cuda-mps-control"
    program.parent.mkdir()
    program.write_text(MPS)
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("PATH", f"{program.parent}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setenv("STARTED", str(tmp_path / "started"))
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "1")
    monkeypatch.delenv("CUDA_MPS_PIPE_DIRECTORY", raising=False)
    monkeypatch.setattr(gpus, "_PROBE", "pass")
    _pretend(monkeypatch, 1)
    return tmp_path / "started"


def _pretend(monkeypatch: pytest.MonkeyPatch, count: int) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: count > 0)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: count)
    monkeypatch.setattr(torch.cuda, "current_device", lambda: 0)


def test_the_service_runs_as_long_as_workers_share_a_gpu(started: Path) -> None:
    with shared_gpus("auto", 2) as variables:
        folder = variables["CUDA_MPS_PIPE_DIRECTORY"]
        assert started.read_text() == f"{folder}:\n"  # it sees all GPUs
    assert not Path(folder).exists()
    assert Path(f"{started}.quit").exists()


@pytest.mark.parametrize(("device", "workers"), [("auto", 1), ("cpu", 4), ("cuda:0", 1)])
def test_workers_that_share_nothing_need_no_service(started: Path, device: str, workers: int) -> None:
    with shared_gpus(device, workers) as variables:
        assert not variables
    assert not started.exists()


def test_the_service_of_the_user_is_used(started: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUDA_MPS_PIPE_DIRECTORY", "mine")
    with shared_gpus("auto", 4) as variables:
        assert not variables
    assert not started.exists()


def test_a_service_that_does_not_answer_is_given_up(started: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gpus, "_PROBE", "exit(1)")
    monkeypatch.setattr(gpus, "_PATIENCE_SECONDS", 0.3)
    with shared_gpus("auto", 4) as variables:
        assert not variables
    assert Path(f"{started}.quit").exists()


def _answers_with(monkeypatch: pytest.MonkeyPatch, program: str) -> None:
    """Let the process that measures be a program of a line."""
    real = subprocess.run

    def run(command: list[str], **options: Any) -> Any:
        return real([sys.executable, "-c", program, *command[-2:]], **options)

    monkeypatch.setattr(gpus.subprocess, "run", run)


@pytest.mark.parametrize(
    ("device", "count", "cores", "expected"),
    [("auto", 1, 64, 16), ("cuda:0", 1, 3, 3), ("auto", 2, 8, 8), ("cuda", 2, 2, 2), ("cpu", 2, 64, 0)],
)
def test_as_many_workers_as_are_measured_within_the_cores(
    started: Path,
    monkeypatch: pytest.MonkeyPatch,
    device: str,
    count: int,
    cores: int,
    expected: int,
) -> None:
    _pretend(monkeypatch, count)
    _answers_with(monkeypatch, "import sys; open(sys.argv[1]).close(); print(sys.argv[2])")
    monkeypatch.setattr(psutil.Process, "cpu_affinity", lambda _: range(cores), raising=False)
    assert workers_on_gpus(config("4").replace(device=device)) == expected


@pytest.mark.parametrize("program", ["exit(1)", "print('none')", "pass", "import time; time.sleep(60)"])
def test_what_cannot_be_measured_is_one_worker_and_a_line(
    started: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, program: str
) -> None:
    monkeypatch.setattr(gpus, "_MEASURING_SECONDS", 1.0)
    monkeypatch.setattr(psutil.Process, "cpu_affinity", lambda _: range(8), raising=False)
    _answers_with(monkeypatch, program)
    assert workers_on_gpus(config("4").replace(device="auto")) == 1
    assert "one worker per GPU (--workers N sets another number)" in caplog.text


def test_without_the_service_a_gpu_has_one_worker(started: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    assert workers_on_gpus(config("4").replace(device="auto")) == 1
