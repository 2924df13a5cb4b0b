"""Workers as processes of this machine."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
from collections.abc import Iterator, Mapping

import psutil

from nars.engines.assignment import THREADS, Assignment, last_error
from nars.engines.base import End, Engine, Member, Start, manner_of
from nars.engines.gpus import shared_gpus, workers_on_gpus
from nars.errors import RunError
from nars.runs.config import SearchConfig
from nars.workers.liveness import name_of

__all__ = ["Local"]


class Local(Engine):
    """Starts each worker as a process, which ends with this one."""

    name = "local"

    def default_workers(self, config: SearchConfig) -> int:
        """Return some workers per GPU if the search runs on GPUs, else one per core."""
        if workers := workers_on_gpus(config):
            return workers
        if hasattr(psutil.Process, "cpu_affinity"):
            return len(psutil.Process().cpu_affinity())
        return os.cpu_count() or 1

    @contextlib.contextmanager
    def opened(self, assignment: Assignment, workers: int) -> Iterator[Start]:
        with shared_gpus(assignment.device, workers) as environment:
            yield lambda numbers: (_Process(assignment, number, environment) for number in numbers)


class _Process(Member):
    """A worker in a session of its own, so Ctrl-C reaches it only through this process."""

    def __init__(self, assignment: Assignment, number: int, environment: Mapping[str, str]) -> None:
        gpu = _gpu(number) if assignment.device in ("auto", "cuda") else {}
        self._log = assignment.log
        try:
            with contextlib.ExitStack() as stack:
                stream = stack.enter_context(self._log.open("ab")) if self._log else None
                self._process = subprocess.Popen(
                    assignment.command(),
                    env={**os.environ, **THREADS, **environment, **gpu},
                    stdout=stream,
                    stderr=stream,
                    start_new_session=True,
                )
        except OSError as error:
            raise RunError(f"worker {number} cannot be started: {error}; fewer --workers may help") from None

    def end(self) -> End | None:
        code = self._process.poll()
        if code is None:
            return None
        text = self._log.read_text(encoding="utf-8", errors="replace") if self._log and code else ""
        where = f"see {self._log}" if self._log else "see above"
        return End(code, manner_of(code), name_of(self._process.pid), last_error(text), where)

    def stop(self) -> None:
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        self._process.kill()


def _gpu(number: int) -> dict[str, str]:
    """Return the environment in which a worker sees only one of the GPUs that this process sees."""
    import torch

    count = torch.cuda.device_count()
    if count < 2:
        return {}
    visible = os.environ.get("CUDA_VISIBLE_DEVICES", ",".join(map(str, range(count)))).split(",")
    return {"CUDA_VISIBLE_DEVICES": visible[number % count]}
