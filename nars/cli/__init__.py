"""The command line: a table from words to functions.

Parse, call, print, exit code. A command's module is imported when the command is given, and
what is heavy is imported by the function that needs it: ``nars --help`` imports no torch.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from importlib import import_module

import click

from nars.errors import NarsError, closest

__all__ = ["main"]

COMMANDS = {
    "search": ("nars.cli.search:search", "Search architecture and recipe together."),
    "worker": ("nars.cli.search:worker", "One more worker for a running search."),
    "export": ("nars.cli.export:export", "Write the winner, the front or the trials of a search."),
    "report": ("nars.cli.export:report", "One HTML file with the pictures of a search."),
    "profile": ("nars.cli.profile:profile", "Shape, MACs, parameters and latency, stage by stage."),
    "train": ("nars.cli.train:train", "Train a network in full."),
    "evaluate": ("nars.cli.train:evaluate", "Score trained weights on a data set."),
    "detect": ("detector.cli:detect", "Train, evaluate, run and export the detector."),
    "proxy-check": ("nars.cli.proxy:proxy_check", "Does the short training rank like the long one?"),
    "spaces": ("nars.cli.catalogue:spaces", "The search spaces and published networks built in."),
    "data": ("nars.cli.catalogue:data", "Describe or check a data set."),
}
"""Word -> (module:command, what it does)."""


class _Table(click.Group):
    """A group whose commands are imported when they are given."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        module, _, name = COMMANDS[cmd_name][0].partition(":")
        command: click.Command = getattr(import_module(module), name)
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if args[0] not in COMMANDS and not args[0].startswith("-"):
            raise click.UsageError(f"no command {args[0]!r}: {closest(args[0], COMMANDS)}")
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(word, summary) for word, (_, summary) in COMMANDS.items()])


@click.group(cls=_Table, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="nars")
def nars() -> None:
    """Search network architecture and training recipe together, for your data and your compute.

    Example: nars search --budget 64 --max-macs 4M, then nars export best-arch -o best.yaml
    """


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command; 0 on success, 2 with one line on stderr for a user's mistake."""
    try:
        result = nars.main(arguments, prog_name="nars", standalone_mode=False)
    except click.UsageError as error:
        where = error.ctx.command_path if error.ctx else "nars"
        return _fail(f"{error.format_message()} (see {where} --help)")
    except click.ClickException as error:
        return _fail(error.format_message())
    except NarsError as error:
        return _fail(str(error))
    except (click.Abort, KeyboardInterrupt):
        print("nars: interrupted; the same command goes on from here", file=sys.stderr)
        return 130
    except BrokenPipeError:  # as of `nars ... | head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 141
    except OSError as error:
        return _fail(f"{error.filename}: {error.strerror}" if error.filename else str(error))
    return result if isinstance(result, int) else 0


def _fail(message: str) -> int:
    print(f"nars: {' '.join(message.split())}", file=sys.stderr)
    return 2
