"""The examples for schedulers: they parse, and rely on exit codes that nars really has."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import click
import pytest
import yaml

from nars.cli.search import worker_command

EXAMPLES = Path(__file__).parents[1] / "examples"
SCRIPT = EXAMPLES / "slurm.sh"

CODES = {0, 2, 75, 137, 143}
"""Exit codes of a worker: the budget is spent, a mistake, the storage away, killed, SIGTERM."""


def job() -> dict[str, Any]:
    document: dict[str, Any] = yaml.safe_load((EXAMPLES / "kubernetes.yaml").read_text())
    return document


def options() -> set[str]:
    params = [param for param in worker_command.params if isinstance(param, click.Option)]
    return {name for param in params for name in param.opts}


def test_the_job_of_kubernetes_runs_a_worker_that_exists() -> None:
    spec = job()["spec"]["template"]["spec"]
    (container,) = spec["containers"]
    command = container["command"]
    assert command[:2] == ["nars", "worker"]
    assert {word for word in command if word.startswith("--")} <= options()
    assert "password" not in " ".join(command)
    assert spec["terminationGracePeriodSeconds"] >= 30  # a worker may take 20 s to return its trial


def test_only_a_mistake_fails_the_job_of_kubernetes() -> None:
    rules = job()["spec"]["podFailurePolicy"]["rules"]
    failing = [rule["onExitCodes"]["values"] for rule in rules if rule["action"] == "FailJob"]
    assert failing == [[2]]
    assert job()["spec"]["template"]["spec"]["restartPolicy"] == "Never"  # which a policy of failures takes


def test_the_script_of_slurm_is_a_script() -> None:
    subprocess.run(["bash", "-n", str(SCRIPT)], check=True)
    if (shellcheck := shutil.which("shellcheck")) is not None:
        subprocess.run([shellcheck, str(SCRIPT)], check=True)
    (call,) = re.findall(r"^nars worker .*$", SCRIPT.read_text(), flags=re.MULTILINE)
    assert set(re.findall(r"--\w+", call)) <= options()


def job_of(folder: Path, worker: str) -> dict[str, str]:
    """The environment of a job in `folder`, with a `worker` for nars, and a scontrol that notes its call."""
    for name, lines in (("nars", worker), ("scontrol", 'echo "$@" > requeued')):
        (folder / name).write_text(f"#!/bin/bash\n{lines}\n")
        (folder / name).chmod(0o755)
    path = f"{folder}:/usr/bin:/bin"
    return {"PATH": path, "NARS_DATABASE": "x", "NARS_STUDY": "y", "SLURM_JOB_ID": "7"}


@pytest.mark.parametrize(
    ("ends", "code", "requeued"), [(0, 0, False), (2, 2, False), (75, 0, True), (143, 0, True)]
)
def test_the_script_of_slurm_queues_again_what_can_go_on(
    tmp_path: Path, ends: int, code: int, requeued: bool
) -> None:
    done = subprocess.run(
        ["bash", str(SCRIPT)], env=job_of(tmp_path, f"exit {ends}"), cwd=tmp_path, check=False
    )
    assert done.returncode == code
    assert (tmp_path / "requeued").exists() == requeued


def test_sigterm_reaches_the_worker(tmp_path: Path) -> None:
    """Slurm sends it to the script, which passes it on and queues the job again."""
    worker = "trap 'echo stopped > stopped; exit 143' TERM\necho up > up\nwhile true; do sleep 0.05; done"
    process = subprocess.Popen(["bash", str(SCRIPT)], env=job_of(tmp_path, worker), cwd=tmp_path)
    try:
        while not (tmp_path / "up").exists():
            assert process.poll() is None
        process.terminate()
        assert process.wait(timeout=30) == 0
    finally:
        process.kill()
    assert (tmp_path / "stopped").exists()
    assert (tmp_path / "requeued").read_text() == "requeue 7\n"


def test_the_codes_in_the_examples_are_those_of_a_worker() -> None:
    for file in EXAMPLES.iterdir():
        text = file.read_text()
        named = {int(number) for number in re.findall(r"\b(?:75|13\d|14\d)\b", text)}
        assert named <= CODES
