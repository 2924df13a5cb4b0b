"""A nanny runs one worker as a process: its output, its end, its secrets, the signals it never gets."""

from __future__ import annotations

import signal
import threading
from pathlib import Path

import pytest

from nars.engines.assignment import Assignment
from nars.engines.nanny import Nanny


def assignment(line: str, folder: Path) -> Assignment:
    return Assignment("study.journal", "s", "cpu", "nowhere", None, folder, ("-S", "-c", line))


def test_output_is_passed_on_and_the_error_known(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    line = "import os; print(os.environ['NARS_STORAGE'], os.getcwd()); "
    line += "print('nars: no data'); raise SystemExit(2)"
    end = Nanny(3).work(assignment(line, tmp_path), tmp_path, {"NARS_STORAGE": "secret"})
    assert (end.code, end.error, end.how) == (2, "no data", "died with exit code 2")
    assert end.worker is not None
    assert end.worker.endswith(":")
    assert capfd.readouterr().err == f"secret {tmp_path}\nnars: no data\n"


def test_a_stop_reaches_a_worker_also_before_it_was_started(tmp_path: Path) -> None:
    nanny = Nanny(0)
    nanny.stop()
    assert (
        nanny.work(assignment("import time; time.sleep(60)", tmp_path), tmp_path, {}).code == -signal.SIGTERM
    )
    other = Nanny(1)
    thread = threading.Timer(0.5, other.stop)
    thread.start()
    assert (
        other.work(assignment("import time; time.sleep(60)", tmp_path), tmp_path, {}).code == -signal.SIGTERM
    )


def test_the_warning_of_slurm_does_not_kill_a_worker(tmp_path: Path) -> None:
    line = "import os, signal; os.kill(os.getpid(), signal.SIGUSR2); print('alive')"
    before = signal.pthread_sigmask(signal.SIG_BLOCK, [])
    assert Nanny(0).work(assignment(line, tmp_path), tmp_path, {}).code == 0
    assert signal.pthread_sigmask(signal.SIG_BLOCK, []) == before


def test_artifacts_that_this_machine_lacks_are_left_out(tmp_path: Path) -> None:
    there = Assignment("s", "s", "cpu", str(tmp_path), None, tmp_path)
    assert there.command()[-2:] == ["--artifacts", str(tmp_path)]
    assert "--artifacts" not in assignment("pass", tmp_path).command()
