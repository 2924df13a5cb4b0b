"""Consoles that print every name as it is: square brackets and colons of a user's names mean nothing."""

from __future__ import annotations

from rich.console import Console

__all__ = ["plain_console"]


def plain_console(*, stderr: bool = False, soft_wrap: bool = False, quiet: bool = False) -> Console:
    """A console on stdout or `stderr` that prints text and cells of tables without reading markup in them."""
    return Console(
        stderr=stderr, soft_wrap=soft_wrap, quiet=quiet, highlight=False, markup=False, emoji=False
    )
