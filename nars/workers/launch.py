"""Starts, supervises and stops the workers of a search on this machine."""

from __future__ import annotations

import contextlib
import logging
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import psutil
import torch
from optuna.study import Study
from optuna.trial import FrozenTrial, TrialState

from nars.artifacts.store import Store
from nars.errors import RunError
from nars.networks.latency import latency_domain
from nars.runs.run import Run
from nars.searching.results import write_results
from nars.training.metrics import is_function
from nars.trials import Record, counts
from nars.workers.liveness import Witness
from nars.workers.requeue import bury, roll_call
from nars.workers.stopping import stoppable
from nars.workers.weights import prune

__all__ = ["default_workers", "supervise"]

logger = logging.getLogger(__name__)

POLL_SECONDS = 0.5
"""Seconds between two checks of the workers."""

NARS = (sys.executable, "-m", "nars")
"""The command line that workers are started with; an experiment with a task of its own has another one."""

_MOST_DEATHS = 8
"""Deaths of workers, with no trial finished in between, at which a search gives up."""

_STOP_SECONDS = 20
"""Seconds that a worker has to return its trial and exit before it is killed."""

_THREADS = dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1")
"""Environment that limits a worker to one thread, since threads on busy cores slow each other down."""


def default_workers(device: str) -> int:
    """Return the default number of workers: one per GPU if the search runs on GPUs, else one per core."""
    if device in ("auto", "cuda") and torch.cuda.is_available():
        return torch.cuda.device_count()
    if device.startswith("cuda"):
        return 1
    if hasattr(psutil.Process, "cpu_affinity"):
        return len(psutil.Process().cpu_affinity())
    return os.cpu_count() or 1


def supervise(
    run: Run,
    study: Study,
    store: Store,
    workers: int,
    watch: Callable[[Study], None] | None = None,
    log: Path | None = None,
) -> None:
    """Run `workers` processes until the budget is spent.

    If a worker dies, here or on another machine, its trial is trained again, once. Here, another worker is
    started as well. `watch` is called with the study about twice a second; the output of workers is appended
    to `log`.
    Raises `RunError` if workers die again and again, or if one exits because of a user's mistake.
    """
    if run.config.needs_latency:
        _measure_latency(run, study)
    team: list[subprocess.Popen[bytes]] = []
    with stoppable(team):
        try:
            team += [_start(run, store, index, log) for index in range(workers)]
            _follow(run, study, store, team, watch, log)
        finally:
            _stop(team)


def _follow(
    run: Run,
    study: Study,
    store: Store,
    team: list[subprocess.Popen[bytes]],
    watch: Callable[[Study], None] | None,
    log: Path | None,
) -> None:
    """Watch the workers, also those elsewhere; replace those here that die, until nothing is left to do."""
    witness, deaths, finished = Witness(), 0, _finished(study)
    while True:
        time.sleep(POLL_SECONDS)
        if watch is not None:
            watch(study)
        if _finished(study) != finished:
            finished, deaths = _finished(study), 0
            write_results(run, study)
            prune(study, run.config, store)
        for index, process in enumerate(team):
            if process.poll() not in (None, 0):
                deaths += 1
                _requeue_trials_of(study, run, process)
                _give_up(process, deaths, log)
                team[index] = _start(run, store, index, log)
        roll_call(study, run.config.space, witness)
        if all(process.poll() == 0 for process in team):
            if _is_over(study, witness):
                return
            if _is_queued(study):  # by this process, after its workers found nothing left to do
                team[0] = _start(run, store, 0, log)


def _is_over(study: Study, witness: Witness) -> bool:
    """Whether nothing is left to train, once the workers have ended: no trial whose worker may be gone."""
    trials = study.get_trials(deepcopy=False)
    running = [trial for trial in trials if trial.state == TrialState.RUNNING]
    return not _is_queued(study) and all(map(witness.knows_alive, running))


def _is_queued(study: Study) -> bool:
    """Whether a trial waits to be trained again."""
    return bool(study.get_trials(deepcopy=False, states=(TrialState.WAITING,)))


def _measure_latency(run: Run, study: Study) -> None:
    """Measure latency for all workers before they start: on a quiet machine, with one thread like theirs."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        latency_domain(run.config.space, study, run.config.open_task().latency)
    finally:
        torch.set_num_threads(threads)


def _start(run: Run, store: Store, index: int, log: Path | None) -> subprocess.Popen[bytes]:
    """Start a worker in a session of its own, so Ctrl-C reaches it only through this process."""
    gpu = _gpu(index) if run.config.device in ("auto", "cuda") else {}
    command = [*NARS, "worker", "--storage", run.storage, "--study", run.name]
    command += ["--parent", str(os.getpid()), "--device", run.config.device]
    command += ["--artifacts", store.location]
    if is_function(run.config.metric):
        command += ["--metric", run.config.metric]
    with contextlib.ExitStack() as stack:
        stream = stack.enter_context(log.open("ab")) if log else None
        return subprocess.Popen(
            command,
            env={**os.environ, **_THREADS, **gpu},
            stdout=stream,
            stderr=stream,
            start_new_session=True,
        )


def _gpu(index: int) -> dict[str, str]:
    """Return the environment in which a worker sees only one of the GPUs that this process sees."""
    count = torch.cuda.device_count()
    if count < 2:
        return {}
    visible = os.environ.get("CUDA_VISIBLE_DEVICES", ",".join(map(str, range(count)))).split(",")
    return {"CUDA_VISIBLE_DEVICES": visible[index % count]}


def _finished(study: Study) -> int:
    """Count the trials that finished; those that an exiting worker returned do not count as progress."""
    trials = study.get_trials(deepcopy=False)
    return sum(trial.state.is_finished() and counts(trial) for trial in trials)


def _requeue_trials_of(study: Study, run: Run, process: subprocess.Popen[bytes]) -> None:
    """Queue the trial of a worker that died unprompted; it fails if it has taken a worker along before."""
    code = process.returncode
    how = signal.Signals(-code).name if code < 0 else f"exit code {code}"
    memory = " (most likely out of memory)" if code == -signal.SIGKILL else ""
    for trial in _running_in(study, process):
        bury(study, trial, run.config.space, f"died with {how}{memory}")


def _running_in(study: Study, process: subprocess.Popen[bytes]) -> Sequence[FrozenTrial]:
    """Return the trials that a process of this machine has left running."""
    signature = f"{socket.gethostname()}:{process.pid}:"
    running = study.get_trials(deepcopy=False, states=(TrialState.RUNNING,))
    return [trial for trial in running if (Record.of(trial).worker or "").startswith(signature)]


def _give_up(process: subprocess.Popen[bytes], deaths: int, log: Path | None) -> None:
    """Raise `RunError` if another worker would most likely end like the one that died."""
    where = f"see {log}" if log else "see above"
    if process.returncode == 2:  # a user's mistake, which every worker would meet
        raise RunError(f"a worker stopped: {_last_error(log) or where}")
    if deaths >= _MOST_DEATHS:
        code = process.returncode
        raise RunError(f"{deaths} workers died one after the other, the last with exit code {code}; {where}")


def _last_error(log: Path | None) -> str | None:
    """Return the last error message of a worker in the log; None without a log or a message."""
    lines = log.read_text(encoding="utf-8", errors="replace").splitlines() if log else []
    return next((line.removeprefix("nars: ") for line in reversed(lines) if line.startswith("nars: ")), None)


def _stop(team: Sequence[subprocess.Popen[bytes]]) -> None:
    """Ask the remaining workers to return their trials and exit; kill those that do not."""
    for process in team:
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
    for process in team:
        try:
            process.wait(timeout=_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
