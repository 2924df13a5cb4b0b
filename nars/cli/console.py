"""Consoles that print every name as it is: nothing in a user's names is markup, or moves the cursor."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from nars.foreign.names import printable

__all__ = ["add_rows", "plain_console", "print_table", "telling"]

_MOST_ROWS = 1000
"""Classes of a table: a terminal keeps no more lines, and a million would take minutes."""


def plain_console(*, stderr: bool = False, soft_wrap: bool = False, quiet: bool = False) -> Console:
    """A console on stdout or `stderr` that prints text and cells of tables without reading markup in them."""
    return _Plain(stderr=stderr, soft_wrap=soft_wrap, quiet=quiet, highlight=False, markup=False, emoji=False)


@contextmanager
def telling() -> Iterator[None]:
    """Print what the library logs about its progress within the block, not only its warnings."""
    sources: list[logging.Logger | logging.Handler] = [logging.getLogger("nars")]
    if logging.lastResort is not None:
        sources.append(logging.lastResort)
    levels = [source.level for source in sources]
    for source in sources:
        source.setLevel(logging.INFO)
    try:
        yield
    finally:
        for source, level in zip(sources, levels, strict=True):
            source.setLevel(level)


def add_rows(table: Table, classes: Sequence[str], cells: Callable[[str], Iterable[str]]) -> None:
    """Add a row with the cells of each class and, if there are too many, one that says so."""
    for name in classes[:_MOST_ROWS]:
        table.add_row(name, *cells(name))
    if len(classes) > _MOST_ROWS:
        table.add_row(f"and {len(classes) - _MOST_ROWS} more; --json has all")


def print_table(console: Console, title: str, table: Table) -> None:
    """Print a table below its title, which stays one line however narrow the table is."""
    console.print(title, soft_wrap=True)
    console.print(table)


class _Plain(Console):
    """A console that prints control characters of a text as escapes, except the ends of lines."""

    def render_str(self, text: str, **options: Any) -> Text:
        return super().render_str("\n".join(map(printable, text.split("\n"))), **options)
