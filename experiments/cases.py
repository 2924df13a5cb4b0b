"""Runs inputs that people bring, each on a copy, and says which of them go right.

    python -m experiments.cases --cases FOLDER              every case: about ten minutes on two cores
    python -m experiments.cases --cases FOLDER voc 'yolo_*' those whose names begin so, or match
    python -m experiments.cases --cases FOLDER yolo_bom --show   and what the commands printed

FOLDER has one folder per case, and ``_shared`` with what several need. `experiments.case_rules` holds the
commands of each case and what is right. Exit code 1 if a case is wrong.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from fnmatch import fnmatch
from functools import partial
from pathlib import Path

from experiments.case_rules import CASES, Case, Outcome

__all__ = ["main", "run"]

_SECONDS = 600
"""Longest time of one command of a case."""

_COLOURS = re.compile(r"\x1b\[[0-9;]*m")
"""Codes that change the colours of a terminal."""


def run(case: Case, name: str, folder: Path) -> tuple[str | None, list[Outcome]]:
    """The fault of a case, None if it is right, and the outcome of each of its commands."""
    with tempfile.TemporaryDirectory(prefix="case-") as made:
        work = Path(made)
        for part in (name, "_shared"):
            shutil.copytree(folder / part, work / part, symlinks=True)
        subprocess.run(["chmod", "-R", "u+w", str(work)], check=True)
        outcomes = [_run(command, work, work / name) for command in case.commands]
    return case.fault(outcomes), outcomes


def _run(command: str, work: Path, folder: Path) -> Outcome:
    """The outcome of a shell command in the copy of a case's folder."""
    root = str(Path(__file__).parents[1])
    variables = os.environ | {
        "NARS": str(Path(sys.executable).with_name("nars")),
        "PYTHON": sys.executable,
        "SHARED": str(work / "_shared"),
        "PYTHONPATH": root,
        "OMP_NUM_THREADS": "1",
        "NARS_CACHE": str(work / "cache"),
        "TMPDIR": str(work),
    }
    try:
        done = subprocess.run(
            ["bash", "-c", command],
            cwd=folder,
            env=variables,
            capture_output=True,
            timeout=_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return Outcome(-1, "", f"no end within {_SECONDS} seconds")
    out, err = (_COLOURS.sub("", text.decode(errors="replace")) for text in (done.stdout, done.stderr))
    return Outcome(done.returncode, out, err)


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("names", nargs="*", help="beginnings of names, or patterns; all by default")
    parser.add_argument("--cases", type=Path, required=True, help="folder of the cases")
    parser.add_argument("--show", action="store_true", help="print what the commands printed")
    parser.add_argument("--workers", type=int, default=1, help="cases at a time")
    options = parser.parse_args(arguments)
    chosen = [name for name in CASES if not options.names or any(_meant(name, at) for at in options.names)]
    missing = [name for name in chosen if not (options.cases / name).is_dir()]
    if missing or not chosen:
        parser.error(f"{options.cases} has no case {', '.join(missing or options.names)}")
    right = 0
    with ThreadPoolExecutor(options.workers) as pool:
        results = pool.map(partial(_one, folder=options.cases), chosen)
        for name, (fault, outcomes) in zip(chosen, results, strict=True):
            right += fault is None
            print(
                f"{CASES[name].kind:<4}{name:<28}{'right' if fault is None else f'WRONG: {fault}'}",
                flush=True,
            )
            for outcome in outcomes if options.show else ():
                print(f"exit code {outcome.code}\n{outcome.text}")
    print(f"{right} of {len(chosen)} right")
    return 0 if right == len(chosen) else 1


def _meant(name: str, asked: str) -> bool:
    return name.startswith(asked) or fnmatch(name, asked)


def _one(name: str, folder: Path) -> tuple[str | None, list[Outcome]]:
    return run(CASES[name], name, folder)


if __name__ == "__main__":
    sys.exit(main())
