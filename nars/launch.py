"""Workers on this machine: start them, see to it that they go on, stop them."""

from __future__ import annotations

import contextlib
import logging
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import psutil
from optuna.study import Study
from optuna.trial import FrozenTrial, TrialState

from nars.errors import RunError
from nars.liveness import REASON, is_alive, mark, reap
from nars.results import write_results
from nars.run import Run

__all__ = ["default_workers", "launch"]

logger = logging.getLogger(__name__)

POLL_SECONDS = 0.5
RESTARTS = 8
"""Workers that may die one after the other without a finished trial before a search gives up."""


def default_workers(device: str) -> int:
    """One per GPU where the search runs on GPUs, else one per core."""
    import torch

    if device != "cpu" and torch.cuda.is_available():
        return torch.cuda.device_count()
    return (
        len(psutil.Process().cpu_affinity())
        if hasattr(psutil.Process, "cpu_affinity")
        else os.cpu_count() or 1
    )


def launch(
    run: Run, workers: int, on_poll: Callable[[Study], None] | None = None, log: Path | None = None
) -> Study:
    """Search with `workers` processes to the end of the budget, from where the run was left.

    A worker that dies takes only its trial with it, which fails with a reason; another worker is started.
    `on_poll` is called with the study about twice a second.
    """
    study = run.study()
    with run.locked():
        reap(study)
    team = [_start(run, index, log) for index in range(workers)]
    deaths = 0
    finished = _finished(study)
    try:
        while any(process.poll() is None for process in team):
            time.sleep(POLL_SECONDS)
            if on_poll is not None:
                on_poll(study)
            if _finished(study) != finished:
                finished, deaths = _finished(study), 0
                write_results(run, study)
            for index, process in enumerate(team):
                if process.poll() not in (None, 0):
                    deaths += 1
                    _bury(study, process)
                    _give_up(process, deaths)
                    team[index] = _start(run, index, log)
    finally:
        _stop(team)
    write_results(run, study)
    return study


def _start(run: Run, index: int, log: Path | None) -> subprocess.Popen[bytes]:
    """A worker of its own session, so that Ctrl-C reaches it only through us."""
    threads = dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1")
    gpu = {} if run.config.device == "cpu" else _gpu(index)
    command = [sys.executable, "-m", "nars", "worker", "--storage", run.storage, "--study", run.name]
    command += ["--parent", str(os.getpid())]
    with contextlib.ExitStack() as stack:
        stream = stack.enter_context(log.open("ab")) if log else None
        return subprocess.Popen(
            command,
            env={**os.environ, **threads, **gpu},
            stdout=stream,
            stderr=stream,
            start_new_session=True,
        )


def _gpu(index: int) -> dict[str, str]:
    import torch

    count = torch.cuda.device_count()
    return {"CUDA_VISIBLE_DEVICES": str(index % count)} if count > 1 else {}


def _finished(study: Study) -> int:
    return sum(trial.state.is_finished() for trial in study.get_trials(deepcopy=False))


def _bury(study: Study, process: subprocess.Popen[bytes]) -> None:
    """Fail the trial of a worker that died by itself: it would most likely die again."""
    code = process.returncode
    how = signal.Signals(-code).name if code < 0 else f"exit code {code}"
    memory = " (most likely out of memory)" if code == -signal.SIGKILL else ""
    for trial in _left_behind(study):
        logger.warning("trial %d: its worker died with %s%s", trial.number, how, memory)
        mark(study, trial, REASON, f"worker died with {how}{memory}")
        study.tell(trial.number, state=TrialState.FAIL)


def _left_behind(study: Study) -> Sequence[FrozenTrial]:
    running = study.get_trials(deepcopy=False, states=(TrialState.RUNNING,))
    return [trial for trial in running if not is_alive(trial)]


def _give_up(process: subprocess.Popen[bytes], deaths: int) -> None:
    if process.returncode == 2:  # it has said why: an error that every worker would meet
        raise RunError("a worker stopped with the error above")
    if deaths >= RESTARTS:
        raise RunError(f"{deaths} workers died one after the other, the last with {process.returncode}")


def _stop(team: Sequence[subprocess.Popen[bytes]]) -> None:
    """Ask the workers that are left to give their trials back, then end them."""
    for process in team:
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
    for process in team:
        try:
            process.wait(timeout=20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
