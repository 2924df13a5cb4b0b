"""The options that the experiments with detectors share."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from experiments.detector_folds import SETS

__all__ = ["parsed", "parser_of"]


def parser_of(
    doc: str | None, work: Path | None = None, sets: Sequence[str] = SETS, printing: bool = True
) -> argparse.ArgumentParser:
    """A parser described by the first line of `doc`, with the options of data and machine.

    `work` is where an experiment keeps files by default, None if it keeps none; `sets` are those it measures
    by default. With `printing`, ``--print`` asks for what is on file only.
    """
    parser = argparse.ArgumentParser(description=(doc or "").partition("\n")[0])
    parser.add_argument("--data-root", type=Path, default=Path("../shared/data"), help="folder of det/")
    if work is not None:
        parser.add_argument("--work", type=Path, default=work, help="folder of what is kept")
    parser.add_argument("--sets", nargs="*", default=list(sets), choices=SETS)
    parser.add_argument("--processes", type=int, default=1, help="trainings at once")
    parser.add_argument("--device", default="cpu", choices=("cpu", "cuda"))
    parser.set_defaults(only_print=False)
    if printing:
        parser.add_argument(
            "--print", dest="only_print", action="store_true", help="only print what is on file"
        )
    return parser


def parsed(parser: argparse.ArgumentParser) -> argparse.Namespace:
    """The options given; exits with one line if they ask for a set that is not there."""
    given = parser.parse_args()
    missing = [name for name in given.sets if not (given.data_root / "det" / name).exists()]
    if missing and not given.only_print:
        where = given.data_root / "det"
        parser.exit(1, f"skipped: no {', '.join(missing)} below {where} (see --data-root)\n")
    return given
