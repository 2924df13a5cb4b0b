"""Each way to disturb or stop a search, what it prints, with which exit code, and what is lost.

    python -m experiments.faults.endings [--engines local worker ray slurm] [--parts start middle limit]
                                         [--keep FOLDER]

On each engine a search with two workers, whose trainings only wait, meets one event after the other. Before
it starts its data are gone, its disk is full, its folder is read-only. While it runs the same three happen
for some seconds, and it has to continue. Then it is stopped by Ctrl-C, by SIGTERM and at a time limit, and
started again each time. ``worker`` is a bare ``nars worker`` on a search that nobody runs. The disk is a
small tmpfs and the folder is made read-only by a mount, so it takes root. The time limit is that of
``timeout``, which a batch script would have, and for Slurm that of its jobs, which are requeued.

Appends to endings.csv, for each engine and event, the line that was printed, the exit code (none if it goes
on), and how many finished trials were lost or are different. Costs a few minutes on each engine. Expected: no
traceback, nothing lost.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from itertools import chain
from pathlib import Path
from typing import Any

import optuna
import pandas as pd

from experiments.faults.clusters import SlurmCluster
from experiments.faults.forking import forked
from experiments.faults.waiting import PROGRAM, SECONDS, search_command
from experiments.kill_and_resume import finished
from nars.errors import RunError

_ROWS = Path(__file__).with_name("endings.csv")
"""One row for each engine and event."""

_ENGINES = ("local", "worker", "ray", "slurm")
"""Engines, and a worker without any."""

_DISK_BYTES = 80_000_000
"""Size of the disk of a search, which needs 50 MB at its start."""

_PATIENCE_SECONDS = 400.0
"""Longest wait for what is expected."""

_DISTURBED_SECONDS = 5.0
"""How long a disturbance lasts after it was noticed."""

_LIMIT_SECONDS = 60
"""Time limit of ``timeout``, in which a search begins even on busy cores."""

_JOB_MINUTES = 2
"""Time limit of Slurm's jobs, of which it may take a minute for its warning."""

_TOLD = re.compile(r"^nars: |does not answer|are gone|workers wait|has requeued|Traceback")
"""Lines that say something about an event."""


class _Search:
    """One search on one engine, in a folder of its own, with a disk and data that events happen to."""

    def __init__(self, engine: str, folder: Path, environment: dict[str, str]) -> None:
        self.engine = engine
        self.disk, self.data, self.run = folder / "disk", folder / "data", folder / "disk" / "run"
        self._log, self._environment = folder / "log", environment
        self.disk.mkdir()
        self.data.mkdir()
        (self.data / SECONDS).write_text("0.5")
        _system("mount", "-t", "tmpfs", "-o", f"size={_DISK_BYTES}", "tmpfs", str(self.disk))
        self._space = folder / "space"
        self.known: dict[int, tuple[Any, ...]] = {}
        self._read: dict[Path, int] = {}
        self.process: Any = None

    def command(self, *more: str) -> list[str]:
        """Return the command, which is that of a bare worker as soon as there is a search."""
        if self.engine == "worker" and (self.run / "study.journal").exists():
            worker = [sys.executable, *PROGRAM, "worker", "--storage", str(self.run / "study.journal")]
            return [*worker, "--study", self.run.name, "--device", "cpu"]
        engine = "local" if self.engine == "worker" else self.engine
        command = search_command(self._space, 4000, 2, None, engine, self.data)
        command[command.index("--run") + 1] = str(self.run)
        command += ["--address", "local"] if engine == "ray" else []
        return [*command, *more]

    def start(self, *more: str, before: tuple[str, ...] = ()) -> None:
        """Start it, in a copy of this process unless the engine starts processes elsewhere."""
        command = self.command(*more)
        if self.engine in ("local", "worker") and not before:
            self.process = forked(command, self._log)
            return
        with self._log.open("ab") as log:
            self.process = subprocess.Popen(
                [*before, *command], env=self._environment, stdout=log, stderr=log, start_new_session=True
            )

    def code(self) -> int | None:
        code: int | None = (
            self.process.poll() if isinstance(self.process, subprocess.Popen) else self.process.exitcode
        )
        return code

    def goes_on(self) -> None:
        """Wait until two more trials are finished. Raises `RunError` if that does not happen."""
        before = len(self._finished())
        if not _wait(lambda: len(self._finished()) >= before + 2):
            raise RunError(f"{self.engine}: no trial was finished in {_PATIENCE_SECONDS:.0f} s")

    def lost(self) -> int:
        """Count the finished trials that are not there any more, or differ, since this was called last."""
        now = self._finished()
        lost = sum(now.get(number) != record for number, record in self.known.items())
        self.known = now
        return lost

    def _finished(self) -> dict[int, tuple[Any, ...]]:
        try:
            return finished(self.run)
        except RunError:  # it has not begun
            return {}

    def said(self) -> list[str]:
        """Return the lines about events since this was called last, without repetitions."""
        logs = [self._log, self.run / "log.txt", *sorted((self.run / "slurm").glob("*.out"))]
        lines: list[str] = []
        for log in logs:
            text = log.read_text(errors="replace") if log.exists() else ""
            lines += text[self._read.get(log, 0) :].splitlines()
            self._read[log] = len(text)
        plain = [
            re.sub(r"^.*?(nars: |storage \S+ does|the data at |Slurm has )", r"\1", line)
            for line in lines
            if _TOLD.search(line)
        ]
        return list(dict.fromkeys(line.replace(str(self.disk.parent), "...") for line in plain))


@contextlib.contextmanager
def _gone(search: _Search) -> Iterator[None]:
    elsewhere = search.data.with_name("elsewhere")
    search.data.rename(elsewhere)
    try:
        yield
    finally:
        elsewhere.rename(search.data)


@contextlib.contextmanager
def _full(search: _Search) -> Iterator[None]:
    filler = search.disk / "filler"
    with contextlib.suppress(OSError), filler.open("wb", buffering=0) as file:
        while True:
            file.write(bytes(4096))
    try:
        yield
    finally:
        filler.unlink()


@contextlib.contextmanager
def _read_only(search: _Search) -> Iterator[None]:
    place = search.run if search.run.exists() else search.disk
    _system("mount", "--bind", str(place), str(place))
    _system("mount", "-o", "remount,ro,bind", str(place))
    try:
        yield
    finally:
        _system("umount", "--lazy", str(place))


_DISTURBANCES = {"data gone": _gone, "disk full": _full, "folder read-only": _read_only}
"""Each disturbance by name."""


_Event = tuple[str, int | None, list[str]]
"""An event, the exit code (None if the search goes on) and what was printed."""


def _start_events(search: _Search) -> Iterator[_Event]:
    """Disturb a search before it starts."""
    for name, disturbed in _DISTURBANCES.items():
        with disturbed(search):
            search.start()
            if search.engine != "worker" or name == "data gone":
                yield f"{name} at the start", _code(search), search.said()
                continue
            _wait(lambda: search.code() is not None, 30)
            code, lines = search.code(), search.said()
        if code is None:  # it waits, as it does in the middle
            search.goes_on()
            _ended(search, signal.SIGTERM)
        yield f"{name} at the start", code, lines + search.said()


def _middle_events(search: _Search) -> Iterator[_Event]:
    """Disturb a search for a while, and stop it by signals."""
    search.start()
    search.goes_on()
    search.said()
    for name, disturbed in _DISTURBANCES.items():
        with disturbed(search):
            lines = _told(search)
            time.sleep(_DISTURBED_SECONDS)
        search.goes_on()
        yield f"{name} for a while", search.code(), lines + search.said()
    yield "Ctrl-C", _ended(search, signal.SIGINT), search.said()
    search.start()
    search.goes_on()
    yield "SIGTERM", _ended(search, signal.SIGTERM), search.said()


def _limit_events(search: _Search) -> Iterator[_Event]:
    """Let a search meet its time limit."""
    if search.engine == "slurm":
        search.start("--worker-option", f"time={_JOB_MINUTES}")
        search.goes_on()
        lines = _told(search, "requeued")
        search.goes_on()
        yield "time limit", search.code(), lines + search.said()
        _ended(search, signal.SIGTERM)
        return
    search.start(before=("timeout", "--kill-after=60", f"{_LIMIT_SECONDS}"))
    yield "time limit", _code(search), search.said()


_PARTS = {"start": _start_events, "middle": _middle_events, "limit": _limit_events}
"""The events of each part of the table."""


def _told(search: _Search, word: str = "") -> list[str]:
    """Return what is said until there is a line with this word."""
    lines: list[str] = []
    deadline = time.monotonic() + _PATIENCE_SECONDS
    while not any(word in line for line in lines) and time.monotonic() < deadline:
        time.sleep(0.5)
        lines += search.said()
    return lines


def _ended(search: _Search, number: int) -> int:
    os.kill(search.process.pid, number)
    return _code(search)


def _code(search: _Search) -> int:
    assert _wait(lambda: search.code() is not None), "it does not end"
    code = search.code()
    assert code is not None
    return code


def _wait(condition: Callable[[], bool], seconds: float = _PATIENCE_SECONDS) -> bool:
    """Wait for a condition, or so long; return whether it holds."""
    deadline = time.monotonic() + seconds
    while not (holds := condition()) and time.monotonic() < deadline:
        time.sleep(0.5)
    return holds


def _system(*command: str) -> None:
    subprocess.run(command, check=True)


def _through(engine: str, folder: Path, parts: Sequence[str]) -> Iterator[dict[str, Any]]:
    with contextlib.ExitStack() as stack:
        environment = dict(os.environ)
        if engine == "slurm":
            cluster = stack.enter_context(SlurmCluster.running(folder / "cluster"))
            environment = cluster.environment
        search = _Search(engine, folder, environment)
        stack.callback(_system, "umount", "--lazy", str(search.disk))
        if engine == "worker":  # on a search that somebody else has begun
            search.start()
            search.goes_on()
            _ended(search, signal.SIGTERM)
            search.said()
        for event, code, lines in chain.from_iterable(_PARTS[part](search) for part in parts):
            said = " / ".join(lines)
            yield {"engine": engine, "event": event, "code": code, "lost": search.lost(), "said": said}


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--engines", nargs="+", choices=_ENGINES, default=_ENGINES, help="which")
    parser.add_argument("--parts", nargs="+", choices=_PARTS, default=list(_PARTS), help="of the events")
    parser.add_argument("--keep", type=Path, help="where to leave the logs")
    options = parser.parse_args()
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    for engine in options.engines:
        folder = Path(tempfile.mkdtemp(prefix=f"{engine}-", dir=options.keep))
        for row in _through(engine, folder, options.parts):
            rows = pd.read_csv(_ROWS).to_dict("records") if _ROWS.exists() else []
            kept = [old for old in rows if (old["engine"], old["event"]) != (engine, row["event"])]
            table = pd.DataFrame([*kept, row]).astype({"code": "Int64"})
            table.to_csv(_ROWS, index=False)
            print(*row.values(), sep=" | ", flush=True)
    table = pd.read_csv(_ROWS)
    sys.exit(1 if table.lost.any() or table.said.fillna("").str.contains("Traceback").any() else 0)


if __name__ == "__main__":
    main()
