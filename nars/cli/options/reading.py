"""The lines of a command about the data that it reads, and whether they are measured in one piece."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import click

from nars.foreign.parts import Part

__all__ = ["measured_whole", "say_parts"]


def say_parts(parts: Iterable[Part], *, quiet: bool = False) -> None:
    """Say on stderr what each part of the data is taken for, and what was passed over."""
    for part in () if quiet else parts:
        click.echo(part.line(), err=True)


def measured_whole(given: str | None, recorded: str | None) -> bool:
    """Whether data without a split are measured in one piece: other data than a file was trained on.

    Data of the same path or the same name may be those, in another place or spelling.
    """
    if given is None or recorded is None:
        return given is not None
    mine, theirs = Path(given), Path(recorded)
    return mine.resolve() != theirs.resolve() and mine.resolve().name != theirs.resolve().name
