"""Runs a reader on one hostile case in a sandbox, and says what it did that it must not do."""

from __future__ import annotations

import contextlib
import io
import logging
import os
import re
import resource
import signal
import sys
import tempfile
import time
import traceback
import warnings
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from importlib import import_module
from pathlib import Path

from PIL import Image

from experiments.fuzz.hostile import spelled
from nars.errors import NarsError

__all__ = ["Case", "Kind", "Verdict", "command", "judge", "warm"]

MEMORY = 2**31
"""Bytes of address space that a case may take."""

SECONDS = 10
"""Seconds of the processor that a case may take."""

WAITING = 60
"""Seconds by the clock that a case may take, on a machine that does other work besides."""

LONGEST = 1000
"""Characters of a message."""

_IN_MEMORY = Path("/dev/shm")
"""A folder in memory, if the system has it: a folder on a disk costs ten times the time of a small case."""

SECRET = b"the secret of somebody else 7f3a"
"""Content of a file outside of the data, which must not appear in anything written or printed."""

_HOME = "home/data"
"""Folder of a case."""

_SCARCE = "not enough memory"
"""Words of a refusal after memory was asked for, which no case needs as much of."""

_LINK = re.compile(rb"->[\x20-\x7e]+")
"""Content that stands for a link."""

_TIMERS = {signal.SIGPROF: signal.ITIMER_PROF, signal.SIGALRM: signal.ITIMER_REAL}
"""The timers of the processor and of the clock, by their signals."""

_ESCAPE = "\x1b["
"""Start of what makes a terminal clear its screen, or pretend to be another one."""

Case = Mapping[str, bytes]
"""The content of each file by its path; ``->`` at the start of a content makes it a link to the rest."""


@dataclass(frozen=True)
class Kind:
    """A kind of file: how to make members, and how nars reads them."""

    name: str
    cases: object
    """A Hypothesis strategy of cases."""
    read: Callable[[Path], object]
    """Reads the folder of a case, by functions that raise `NarsError` or by a command."""
    also_writes: frozenset[str] = frozenset()
    """Names of files, right in the case's folder, that reading may make."""


@dataclass
class Verdict:
    """The outcome of a case."""

    fault: str | None
    """One line that is equal for equal faults; None if all is well."""
    refused: bool
    seconds: float
    """Processor time."""
    memory: int
    """Peak of the resident memory above that before the case, in bytes."""
    details: str = field(default="", repr=False)


class _TooLongError(BaseException):
    pass


@cache
def _secret_picture() -> bytes:
    """A picture that can be read, with the secret behind its end."""
    stream = io.BytesIO()
    Image.new("RGB", (24, 24)).save(stream, "PNG")
    return stream.getvalue() + SECRET


@cache
def warm() -> None:
    """Import what readers import late, whose size is no reader's."""
    for module in (
        "nars.data",
        "nars.cli.data",
        "detector.data.check",
        "detector.assembly",
        "nars.report.page",
        "scipy.stats",
        "sklearn.datasets",
        "pandas",
        "matplotlib.pyplot",
        "nars.cli.export",
        "nars.cli.predict",
        "nars.deploy.predict",
        "detector.cli.predict",
        "detector.deploy.predict",
        "detector.weights.loading",
        "nars.networks.profile",
        "nars.searching.results",
        "nars.searching.earlier",
        "nars.data.readers.table",
        "pyarrow.parquet",
        "detector.space.spaces",
        "detector.model.cost",
        "detector.cli.display",
        "nars.searching.catalogue",
        "nars.parents.inherit",
        "search_spaces",
        "pycocotools.mask",
        "nars.workers.finish",
        "rich.console",
    ):
        import_module(module)


def judge(kind: Kind, case: Case) -> Verdict:
    """Read one case; faults are crashes, more than one line, too much time or memory, and writing outside."""
    warm()
    where = _IN_MEMORY if os.access(_IN_MEMORY, os.W_OK) else None
    with tempfile.TemporaryDirectory(prefix="fuzz", dir=where) as name:
        root = Path(name)
        home, outside, work = root / _HOME, root / "outside", root / "work"
        for folder in (home, outside, work):
            folder.mkdir(parents=True)
        (outside / "secret.png").write_bytes(_secret_picture())
        for path, content in case.items():
            _put(home / path, spelled(content, str(outside)))
        before = _listing(root, work)
        os.environ["NARS_CACHE"] = str(work / "cache")
        verdict = _timed(kind, home, work)
        verdict.fault = verdict.fault or _leak(root, work, before, kind)
        return verdict


def _timed(kind: Kind, home: Path, work: Path) -> Verdict:
    _forget_peak()
    resting, started = _memory("VmRSS"), time.process_time()
    said, fault, details, refused = io.StringIO(), None, "", False
    here = Path.cwd()
    os.chdir(work)
    try:
        with (
            _limited(),
            contextlib.redirect_stdout(said),
            contextlib.redirect_stderr(said),
            warnings.catch_warnings(action="ignore"),
        ):
            kind.read(home)
    except NarsError as error:
        refused = True
        fault, details = _unfit(error), traceback.format_exc()
    except _TooLongError:
        fault = f"more than {SECONDS} seconds"
        details = traceback.format_exc()
    except BaseException as error:
        if isinstance(error, KeyboardInterrupt):
            raise
        fault, details = _where(error), traceback.format_exc()
    finally:
        os.chdir(here)
    if SECRET.decode() in said.getvalue():
        fault = "the content of a file outside is printed"
    elif fault is None and _ESCAPE in said.getvalue():
        fault, details = "an escape sequence is printed", said.getvalue()
    return Verdict(fault, refused, time.process_time() - started, max(0, _memory("VmHWM") - resting), details)


def _unfit(error: NarsError) -> str | None:
    """Say why a message is none that a user can read, if so."""
    text, name = str(error), type(error).__name__
    if "\n" in text or _ESCAPE in text:
        return f"{name} of several lines, or with an escape sequence"
    if _SCARCE in text:
        return f"{name} only after more memory was asked for than there is"
    if len(text) > LONGEST:
        return f"{name} of more than {LONGEST} characters"
    return None


@contextlib.contextmanager
def _limited() -> Iterator[None]:
    """Bound time and memory of the body."""
    soft, hard = resource.getrlimit(resource.RLIMIT_AS)

    def late(number: int, frame: object) -> None:
        raise _TooLongError

    before = [signal.signal(number, late) for number in _TIMERS]
    resource.setrlimit(resource.RLIMIT_AS, (_memory("VmSize") + MEMORY, hard))
    for timer, seconds in zip(_TIMERS.values(), (SECONDS, WAITING), strict=True):
        signal.setitimer(timer, seconds)
    try:
        yield
    finally:
        for timer in _TIMERS.values():
            signal.setitimer(timer, 0)
        for number, handler in zip(_TIMERS, before, strict=True):
            signal.signal(number, handler)
        resource.setrlimit(resource.RLIMIT_AS, (soft, hard))


def _where(error: BaseException) -> str:
    """The error with the last line of our own code that it passed."""
    own = [
        frame
        for frame in traceback.extract_tb(error.__traceback__)
        if "/nars/" in frame.filename or "/detector/" in frame.filename
    ]
    place = f"{Path(own[-1].filename).name}:{own[-1].lineno}" if own else "outside of our code"
    return f"{type(error).__name__} at {place}"


def _put(path: Path, content: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    if _LINK.fullmatch(content):
        path.symlink_to(content[2:].decode())
    elif content == b"|":
        os.mkfifo(path)
    else:
        path.write_bytes(content)


def _listing(root: Path, work: Path) -> dict[str, tuple[int, int]]:
    files: dict[str, tuple[int, int]] = {}
    for folder, folders, names in os.walk(root):
        for name in (*names, *folders):
            path = Path(folder) / name
            if path != work and not path.is_relative_to(work):
                status = path.lstat()
                files[str(path.relative_to(root))] = (status.st_size, status.st_mtime_ns)
    return files


def _leak(root: Path, work: Path, before: Mapping[str, tuple[int, int]], kind: Kind) -> str | None:
    """Say what was written where it must not be."""
    after = _listing(root, work)
    changed = {
        path
        for path in before.keys() | after.keys()
        if before.get(path) != after.get(path) and not (root / path).is_dir()
    }
    may = {f"{_HOME}/{name}" for name in kind.also_writes}
    wrong = sorted(changed - may)
    if wrong:
        return f"wrote {Path(wrong[0]).name}"
    for path in work.rglob("*"):
        if path.is_file() and SECRET in path.read_bytes():
            return f"copied a file from outside into {path.name}"
    return None


def _memory(name: str) -> int:
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(f"{name}:"):
            return int(line.split()[1]) * 1024
    return 0


def _forget_peak() -> None:
    with contextlib.suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5")


def command(*arguments: str | Path) -> str:
    """Run a command of nars in this process, and return what it said on the terminal's error stream.

    Warnings are there even if the process logs elsewhere, as a test does.

    Raises `NarsError` for what the command refuses, which has to be one line with exit code 2 or 75.
    """
    from nars.cli import main

    said = io.StringIO()
    logger, handler = logging.getLogger("nars"), logging.StreamHandler(said)
    logger.addHandler(handler)
    try:
        with contextlib.redirect_stderr(said):
            code = main([str(argument) for argument in arguments])
    finally:
        logger.removeHandler(handler)
    lines = [line for line in said.getvalue().splitlines() if line.startswith("nars: ")]
    print(said.getvalue(), file=sys.stderr)
    assert code in (0, 1, 2, 75), f"exit code {code}"
    assert "Traceback" not in said.getvalue()
    if code > 1:
        assert len(lines) == 1, f"{len(lines)} lines"
        raise NarsError(lines[0])
    return said.getvalue()
