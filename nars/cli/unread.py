"""Pictures that a prediction cannot read: they are named and passed over, and the exit code says so."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TypeVar

import click

from nars.errors import DataError
from nars.foreign.parts import counted

__all__ = ["readable"]

Answer = TypeVar("Answer")


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
