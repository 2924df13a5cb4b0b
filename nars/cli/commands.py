"""Kinds of commands: a table of words that is imported word by word, and help in groups of options."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib import import_module
from typing import Any

import click

from nars.errors import closest

__all__ = ["GroupedCommand", "StoppedError", "Table"]


class StoppedError(click.ClickException):
    """A command that Ctrl-C stopped; the message says how it continues."""

    exit_code = 130


class Table(click.Group):
    """A group whose commands are imported when they are given.

    `table` maps each word to its ``module:command`` and to a summary.
    """

    def __init__(self, *args: Any, table: Mapping[str, tuple[str, str]], **attributes: Any) -> None:
        super().__init__(*args, **attributes)
        self.table = table

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(self.table)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in self.table:
            return None
        module, _, name = self.table[cmd_name][0].partition(":")
        command: click.Command = getattr(import_module(module), name)
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if args[0] not in self.table and not args[0].startswith("-"):
            raise click.UsageError(f"no command {args[0]!r}: {closest(args[0], self.table)}", ctx)
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(word, summary) for word, (_, summary) in self.table.items()])


class GroupedCommand(click.Command):
    """A command whose help lists its options in `groups`: a title and the names of parameters.

    An option in no group, such as ``--help``, is listed at the end of the last one.
    """

    def __init__(self, *args: Any, groups: Mapping[str, Sequence[str]], **attributes: Any) -> None:
        super().__init__(*args, **attributes)
        self.groups = groups

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        options = {
            str(param.name): record
            for param in self.get_params(ctx)
            if isinstance(param, click.Option) and (record := param.get_help_record(ctx)) is not None
        }
        sections = {title: [options.pop(name) for name in names] for title, names in self.groups.items()}
        list(sections.values())[-1].extend(options.values())
        for title, records in sections.items():
            with formatter.section(title):
                formatter.write_dl(records)
