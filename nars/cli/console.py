"""Consoles that print every name as it is: nothing in a user's names is markup, or moves the cursor."""

from __future__ import annotations

from typing import Any

from rich.console import Console
from rich.text import Text

from nars.foreign.names import printable

__all__ = ["plain_console"]


def plain_console(*, stderr: bool = False, soft_wrap: bool = False, quiet: bool = False) -> Console:
    """A console on stdout or `stderr` that prints text and cells of tables without reading markup in them."""
    return _Plain(stderr=stderr, soft_wrap=soft_wrap, quiet=quiet, highlight=False, markup=False, emoji=False)


class _Plain(Console):
    """A console that prints control characters of a text as escapes, except the ends of lines."""

    def render_str(self, text: str, **options: Any) -> Text:
        return super().render_str("\n".join(map(printable, text.split("\n"))), **options)
