"""The lines of a command about the data that it reads or cannot read, and whether they are measured whole."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TypeVar

import click

from nars.errors import DataError
from nars.foreign.parts import Part, counted

__all__ = ["measured_whole", "readable", "say_parts"]

Answer = TypeVar("Answer")


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


def readable(answers: Iterable[Answer | DataError], unread: list[str]) -> Iterator[Answer]:
    """Yield the answers, name on stderr the errors among them, and add these to `unread`.

    Raises `DataError` after the last if there is no answer. A command's exit code is 1 if any is `unread`.
    """
    some = False
    for answer in answers:
        if isinstance(answer, DataError):
            unread.append(str(answer))
            click.echo(f"passed over: {answer}", err=True)
        else:
            some = True
            yield answer
    if not some:
        raise DataError(f"none of {counted(len(unread), 'picture')} can be read")
