"""Workers as an array of jobs of Slurm, which submitit submits and requeues at their time limit.

The folder ``slurm`` of the run folder, which every machine has to reach, holds the jobs and their output. A
search that was killed leaves its jobs at work; the same command takes them over.
"""

from __future__ import annotations

import contextlib
import io
import logging
import os
import re
import shutil
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from importlib.util import find_spec
from pathlib import Path
from types import MappingProxyType
from typing import Any, ClassVar

from nars.engines.assignment import Assignment
from nars.engines.base import End, Engine, Member, Start
from nars.engines.nanny import Nanny
from nars.engines.queue import WAITING, Queue
from nars.errors import EngineAwayError, UsageError
from nars.runs.config import SearchConfig

__all__ = ["Job", "Slurm", "minutes"]

logger = logging.getLogger(__name__)

_TIME = "60"
"""Minutes of a job that names no time; a search that takes longer is requeued."""

_MOST_TIMEOUTS = 100_000
"""How often submitit requeues a job at its time limit."""

_WARNING_SECONDS = 90
"""Seconds before its time limit at which a job is told, to return its trial with a checkpoint."""

_TERMINATED = 143
"""Exit code of a worker that returned its trial on SIGTERM."""


@dataclass(frozen=True)
class Job:
    """The function of a job, which submitit calls on a machine of the cluster."""

    assignment: Assignment
    folder: Path
    number: int

    def __call__(self) -> End:
        """Run a worker. Raises `SystemExit` if it was ended from outside, so Slurm's state counts."""
        nanny = Nanny(self.number)
        threads = {"OMP_NUM_THREADS": os.environ.get("SLURM_CPUS_PER_TASK", "1")}
        try:
            end = nanny.work(self.assignment, self.folder, threads)
        except BaseException:  # submitit has requeued this job, whose time is up
            nanny.finish()
            raise
        if end.code in (_TERMINATED, -15):
            raise SystemExit(_TERMINATED)
        return end

    def checkpoint(self) -> Any:
        """Return the submission that a requeued job continues with: the same one."""
        from submitit.helpers import DelayedSubmission

        return DelayedSubmission(self)


@dataclass(frozen=True)
class Slurm(Engine):
    """The cluster of Slurm that this machine submits to."""

    name: ClassVar[str] = "slurm"

    options: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    """Options of sbatch for each job by their long names, such as partition, time, mem, gres."""

    def default_workers(self, config: SearchConfig) -> int:
        raise UsageError("--engine slurm needs --workers, the number of jobs")

    @contextlib.contextmanager
    def opened(self, assignment: Assignment, workers: int) -> Iterator[Start]:
        name = f"nars-{assignment.study}"
        folder = (assignment.run / "slurm").resolve()
        executor = self._executor(folder, name)
        if "://" not in assignment.storage or assignment.storage.startswith("sqlite"):
            logger.warning("%s serves one machine: if jobs get several, give --storage", assignment.storage)
        queue = Queue(name)

        def start(numbers: Sequence[int]) -> list[Member]:
            adopted = _left_over(folder, queue) if len(numbers) > 1 or not queue.ids else []
            jobs = adopted[: len(numbers)]
            if new := numbers[len(jobs) :]:
                functions = [Job(assignment, Path.cwd(), number) for number in new]
                jobs += _submitted(executor, functions, self.options)
            queue.watch(job.job_id for job in jobs)
            return [_Member(job, queue) for job in jobs]

        yield start

    def _executor(self, folder: Path, name: str) -> Any:
        """Return what submits jobs. Raises `UsageError` for options that Slurm or submitit do not take."""
        if find_spec("submitit") is None:
            raise UsageError("--engine slurm needs submitit: pip install 'nars[slurm]'")
        if shutil.which("sbatch") is None or shutil.which("srun") is None:
            raise UsageError("--engine slurm needs sbatch and srun, which this machine does not have")
        import submitit

        options = {key.replace("-", "_"): value for key, value in self.options.items()}
        limit = minutes(options.pop("time", _TIME))
        part = 15 * limit or _WARNING_SECONDS
        warning = min(_WARNING_SECONDS, part)  # which Slurm may send a minute sooner
        executor = submitit.SlurmExecutor(folder=folder, max_num_timeout=_MOST_TIMEOUTS)
        executor.update_parameters(
            job_name=name,
            time=limit,
            signal_delay_s=warning,
            stderr_to_stdout=True,
            additional_parameters={"requeue": True, **options},
        )
        return executor


class _Member(Member):
    """A job of the array."""

    def __init__(self, job: Any, queue: Queue) -> None:
        self._job = job
        self._queue = queue

    def end(self) -> End | None:
        if self._job.paths.result_pickle.exists():
            return self._result()
        state = self._queue.ended(self._job.job_id)
        if state is None:
            return None
        cancelled = state.startswith("CANCELLED")
        return End(1, f"was lost by Slurm ({state})", where=self._where, cancelled=cancelled)

    def stop(self) -> None:
        _scancel(self._job.job_id)

    def kill(self) -> None:
        _scancel("--signal=KILL", self._job.job_id)

    @property
    def waits(self) -> bool:
        """Whether it is in the queue."""
        return self._queue.listed(self._job.job_id) in WAITING

    @property
    def _where(self) -> str:
        return f"see {self._job.paths.stdout}"

    def _result(self) -> End:
        from submitit.core.utils import pickle_load

        outcome, result = pickle_load(self._job.paths.result_pickle)
        if outcome == "success":
            assert isinstance(result, End)
            return replace(result, where=self._where)
        return End(1, f"failed ({str(result).strip().splitlines()[-1]})", where=self._where)


def _submitted(executor: Any, functions: Sequence[Job], options: Mapping[str, str]) -> list[Any]:
    """Submit jobs as one array. Raises `UsageError` with what sbatch says, or `EngineAwayError`.

    The `options` for sbatch are named then, because sbatch itself often does not say which one it means.
    """
    from submitit.core.utils import FailedJobError, FailedSubmissionError

    try:
        with contextlib.redirect_stderr(io.StringIO()), executor.batch():  # submitit prints the error as well
            return [executor.submit(function) for function in functions]
    except (FailedJobError, FailedSubmissionError, subprocess.SubprocessError) as error:
        lines = [line for line in str(error).splitlines() if "error" in line.lower()] or [str(error)]
        why = lines[-1].removeprefix("sbatch: ").removeprefix("error: ").strip()
        if re.search(r"contact|connect|communication", why, re.IGNORECASE):
            raise EngineAwayError(f"Slurm is away: {why}") from None
        given = "; you gave --worker-option " + " ".join(map("=".join, options.items())) if options else ""
        raise UsageError(f"sbatch refuses the jobs: {why}{given}") from None


def _left_over(folder: Path, queue: Queue) -> list[Any]:
    """The jobs of an earlier call of the same search that have not ended."""
    import submitit

    found = [job for job in queue.alive() if (folder / f"{job}_submitted.pkl").exists()]
    if found:
        logger.info("%d jobs of this search are still there: %s", len(found), ", ".join(found))
    return [submitit.SlurmJob(folder=folder, job_id=job, tasks=[0]) for job in found]


def _scancel(*arguments: str) -> None:
    with contextlib.suppress(OSError, subprocess.SubprocessError):
        subprocess.run(["scancel", *arguments], check=False, capture_output=True, timeout=10)


def minutes(text: str) -> int:
    """Read a time as sbatch takes it, such as 90, 4:00:00 or 1-12, in minutes; 0 is no limit.

    Raises `UsageError`.
    """
    match = re.fullmatch(r"(?:(\d+)-)?(\d+)(?::(\d+))?(?::(\d+))?", text)
    if match is None:
        raise UsageError(f"--worker-option time={text}: give minutes, hours:minutes:seconds or days-hours")
    days, *parts = match.groups()
    first, *rest = [int(part) for part in parts if part is not None]
    if days is not None or len(rest) == 2:  # hours, then minutes and seconds
        seconds = 3600 * first + sum(part * unit for part, unit in zip(rest, (60, 1), strict=False))
    else:
        seconds = 60 * first + sum(rest)
    return (86400 * int(days or 0) + seconds + 59) // 60
