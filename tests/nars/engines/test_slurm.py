"""Jobs of Slurm: times, states, and on a cluster of its own a time limit, a killed head, scancel."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from slurm_cluster import cluster
from stub_task import config

from experiments.faults import search_command
from experiments.faults.clusters import SlurmCluster
from nars.engines import queue as queues
from nars.engines.assignment import Assignment
from nars.engines.queue import Queue
from nars.engines.slurm import Slurm, minutes
from nars.errors import UsageError
from nars.runs.run import open_run
from nars.trials import counts


@pytest.mark.parametrize(
    ("text", "expected"),
    [("90", 90), ("90:30", 91), ("4:00:00", 240), ("1-12", 2160), ("1-12:30", 2190), ("0:30", 1), ("0", 0)],
)
def test_times_are_those_of_sbatch(text: str, expected: int) -> None:
    assert minutes(text) == expected


def test_a_time_that_is_none_is_a_mistake() -> None:
    with pytest.raises(UsageError, match="time=4h: give minutes"):
        minutes("4h")
    with pytest.raises(UsageError, match="needs --workers"):
        Slurm().default_workers(config("4"))


def test_a_job_ends_by_what_the_queue_says(monkeypatch: pytest.MonkeyPatch) -> None:
    now, listing = [0.0], [""]

    def run(command: list[str], **options: Any) -> subprocess.CompletedProcess[str]:
        if listing[0] == "away":
            raise subprocess.CalledProcessError(1, command, stderr="slurm_load_jobs error: Unable to contact")
        return subprocess.CompletedProcess(command, 0, listing[0])

    def ended(seconds: float, text: str) -> str | None:
        now[0] += seconds
        listing[0] = text
        return queue.ended("7_0")

    monkeypatch.setattr(queues.subprocess, "run", run)
    queue = Queue("nars-x", lambda: now[0])
    queue.watch(["7_0"])
    assert ended(5, "") is None  # not there yet
    assert ended(5, "7_0 PENDING\n7_1 RUNNING\n") is None
    assert queue.alive() == ["7_0", "7_1"]
    assert ended(500, "away") is None
    assert ended(5, "7_0 COMPLETED\n") is None  # its result may be on its way
    assert ended(70, "7_0 COMPLETED\n") == "COMPLETED"
    assert ended(5, "7_0 CANCELLED\n") == "CANCELLED"
    assert ended(70, "") == "no longer listed"


def test_jobs_that_wait_again_are_said_once(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    now, listing = [0.0], [""]

    def run(command: list[str], **options: Any) -> subprocess.CompletedProcess[str]:
        return subprocess.CompletedProcess(command, 0, listing[0])

    monkeypatch.setattr(queues.subprocess, "run", run)
    queue = Queue("nars-x", lambda: now[0])
    queue.watch(["7_0", "7_1", "7_2"])
    for text in ("PENDING", "RUNNING", "COMPLETING", "PENDING", "PENDING", "RUNNING"):
        listing[0] = f"7_0 {text}\n7_1 {text}\n7_2 RUNNING\n8_0 {text}\n"
        assert queue.ended("7_0") is None
        now[0] += 5
    assert [record.getMessage().partition(",")[0] for record in caplog.records] == ["Slurm has requeued 7_0"]
    assert "requeued 7_0, 7_1, whose time was up" in caplog.text


def test_slurm_that_is_away_is_said_once_as_text(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    now, is_away = [0.0], [True]

    def run(command: list[str], **options: Any) -> subprocess.CompletedProcess[str]:
        if is_away[0]:
            raise subprocess.TimeoutExpired(command, 30, stderr=b"squeue: error: no configuration\nmore\n")
        return subprocess.CompletedProcess(command, 0, "")

    monkeypatch.setattr(queues.subprocess, "run", run)
    queue = Queue("nars-x", lambda: now[0])
    for away in (True, True, False, True):
        is_away[0] = away
        queue.alive()
        now[0] += 5
    said = "Slurm does not answer: squeue: error: no configuration"
    assert [record.getMessage() for record in caplog.records] == [said, said]


def test_options_that_sbatch_refuses_are_named_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("submitit")
    programs = tmp_path / "bin"
    programs.mkdir()
    for name, script in (
        ("sbatch", "echo sbatch: error: invalid partition specified >&2; exit 1"),
        ("srun", "true"),
        ("squeue", "true"),
    ):
        (programs / name).write_text(f"#!/bin/sh\n{script}\n")
        (programs / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{programs}:{os.environ['PATH']}")
    assignment = Assignment("postgresql://me@db/x", "s", "cpu", "s3://x/y", None, tmp_path)
    refused = "refuses the jobs: invalid partition specified; you gave --worker-option partition=gpu$"
    with (
        Slurm({"partition": "gpu"}).opened(assignment, 2) as start,
        pytest.raises(UsageError, match=refused),
    ):
        start(range(2))
    assert capfd.readouterr().err == ""


@pytest.fixture
def slurm(tmp_path: Path) -> Iterator[SlurmCluster]:
    pytest.importorskip("submitit")
    yield from cluster(tmp_path / "cluster")


def start(slurm: SlurmCluster, folder: Path, budget: int, *more: str) -> subprocess.Popen[str]:
    command = [*search_command(folder, budget, 2, None, "slurm"), *more]
    environment = {**slurm.environment, "NARS_STORAGE": ""}
    return subprocess.Popen(
        command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
    )


def wait_for_line(head: subprocess.Popen[str], beginning: str) -> None:
    """Read what a search prints up to a line with this beginning."""
    assert head.stderr is not None
    lines = []
    for line in head.stderr:
        lines.append(line)
        if line.startswith(beginning):
            return
    raise AssertionError(f"no line begins with {beginning!r}: {''.join(lines)}")


def wait_for_state(slurm: SlurmCluster, state: str) -> list[str]:
    """Wait until jobs are in a state, and return them."""
    deadline = time.monotonic() + 240
    while time.monotonic() < deadline:
        listed = slurm.run("squeue", "--noheader", "--array", "--states=all", "--format=%i %T").splitlines()
        if found := [line.split()[0] for line in listed if line.endswith(state)]:
            return found
        time.sleep(0.5)
    raise AssertionError(f"no job is {state}")


@pytest.mark.cluster
def test_a_search_outlives_its_head_and_is_cancelled_cleanly(slurm: SlurmCluster, tmp_path: Path) -> None:
    folder = tmp_path / "run"
    head = start(slurm, folder, 500)
    wait_for_line(head, "trial ")
    jobs = wait_for_state(slurm, "RUNNING")
    head.kill()
    head.communicate()
    head = start(slurm, folder, 500)
    wait_for_line(head, "resuming after ")
    assert wait_for_state(slurm, "RUNNING") == jobs  # taken over, and no others
    head.send_signal(signal.SIGINT)
    _, said = head.communicate(timeout=60)
    assert head.returncode == 130
    assert said.rstrip().endswith("nars: interrupted; the same command goes on from here")
    assert len(wait_for_state(slurm, "CANCELLED")) == 2
    head = start(slurm, folder, 500)
    wait_for_line(head, "resuming after ")
    wait_for_state(slurm, "RUNNING")
    slurm.run("scancel", "--user=root")
    _, said = head.communicate(timeout=90)
    assert head.returncode == 75
    assert "nars: the workers were cancelled; the same command goes on from here" in said
    assert not [
        trial
        for trial in open_run(folder).study().trials
        if not trial.state.is_finished() and trial.state.name != "WAITING"
    ]


@pytest.mark.cluster
def test_a_job_is_requeued_at_its_time_limit_and_the_budget_is_met(
    slurm: SlurmCluster, tmp_path: Path
) -> None:
    folder = tmp_path / "run"
    head = start(slurm, folder, 120, "--worker-option", "time=2")
    wait_for_state(slurm, "RUNNING")
    wait_for_state(slurm, "PENDING")  # again
    _, said = head.communicate(timeout=500)
    assert head.returncode == 0, said
    assert "Slurm has requeued " in said
    trials = open_run(folder).study().trials
    assert sum(map(counts, trials)) == 120
