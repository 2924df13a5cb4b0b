"""The command line: a table from words to functions.

Parse, call, print, exit code. A command's module is imported when the command is given, and
what is heavy is imported by the function that needs it: ``nars --help`` imports no torch.
"""

from __future__ import annotations

import io
import logging
import os
import signal
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import click

from nars.cli.commands import StoppedError, Table
from nars.errors import ContinuedInterrupt, EngineAwayError, NarsError, StorageAwayError
from nars.foreign.names import one_line, printable

__all__ = ["main"]

COMMANDS = {
    "search": ("nars.cli.search:search_command", "Search architecture and recipe together."),
    "worker": ("nars.cli.search:worker_command", "Join a running search as one more worker."),
    "storage": ("nars.cli.storage:storage_command", "Serve a database to hundreds of workers."),
    "export": ("nars.cli.export:export_command", "Write the winner, the front, the trials, or a network."),
    "report": ("nars.cli.export:report_command", "Draw the pictures of a search in one HTML file."),
    "profile": ("nars.cli.profile:profile_command", "Show MACs, parameters and latency stage by stage."),
    "train": ("nars.cli.train:train_command", "Train a network in full."),
    "evaluate": ("nars.cli.evaluate:evaluate_command", "Score trained weights on a data set."),
    "predict": ("nars.cli.predict:predict_command", "Classify images and videos with trained weights."),
    "detect": ("detector.cli:detect_command", "Train, evaluate, run and export the detector."),
    "proxy-check": (
        "nars.cli.proxy:proxy_check_command",
        "Compare a short training's ranks with a long one's.",
    ),
    "spaces": ("nars.cli.spaces:spaces_command", "List the built-in search spaces and networks."),
    "data": ("nars.cli.data:data_command", "Describe or check a data set."),
}
"""Word -> (module:command, what it does)."""

_CONTINUING = (["worker"], ["train"], ["detect", "train"])
"""Commands that always continue; a search does once it has a run folder, and says so by its interrupt."""


@click.group(cls=Table, table=COMMANDS, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="nars")
def nars() -> None:
    """Search network architecture and training recipe together, for your data and your compute.

    Example: nars search --budget 64 --max-macs 4M, then nars export best-arch -o best.yaml
    """


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command; 0 on success, 2 with one line on stderr for a user's mistake.

    Characters that the terminal's encoding lacks are printed as escapes. A command that is interrupted or
    terminated says so in a line; its code is 130 or 143, as a shell's.
    """
    _escape_what_is_lacking()
    if logging.lastResort is not None:  # which prints the warnings of the library
        logging.lastResort.setFormatter(_Printable())
    with _terminations() as terminated:
        return _run(arguments, terminated)


@contextmanager
def _terminations() -> Iterator[list[int]]:
    """Let SIGTERM interrupt the body as Ctrl-C does; the list then holds its number."""
    received: list[int] = []

    def interrupt(number: int, frame: object) -> None:
        received.append(number)
        raise KeyboardInterrupt

    is_main = threading.current_thread() is threading.main_thread()
    if not is_main or signal.getsignal(signal.SIGTERM) != signal.SIG_DFL:
        yield received
        return
    signal.signal(signal.SIGTERM, interrupt)
    try:
        yield received
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)


def _run(arguments: Sequence[str] | None, terminated: Sequence[int]) -> int:
    """Run a command, and answer for what it raises."""
    try:
        result = nars.main(arguments, prog_name="nars", standalone_mode=False)
    except click.exceptions.NoArgsIsHelpError as error:
        click.echo(error.format_message(), err=True)
        return 2
    except click.UsageError as error:
        command = error.ctx.command_path if error.ctx else "nars"
        return _fail(f"{error.format_message()} (see {command} --help)")
    except StoppedError as error:
        code = 128 + terminated[0] if terminated else error.exit_code
        return _fail(error.format_message(), code)
    except click.ClickException as error:
        return _fail(error.format_message())
    except (StorageAwayError, EngineAwayError) as error:
        return _fail(str(error), os.EX_TEMPFAIL)
    except NarsError as error:
        return _fail(str(error))
    except (click.Abort, KeyboardInterrupt) as error:
        what = "stopping" if terminated else "interrupted"
        promise = "; the same command goes on from here" if _continues(arguments, error) else ""
        print(f"nars: {what}{promise}", file=sys.stderr)
        return 128 + terminated[0] if terminated else 130
    except BrokenPipeError:  # as of `nars ... | head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 141
    except OSError as error:
        return _fail(f"{error.filename}: {error.strerror}" if error.filename else str(error))
    return result if isinstance(result, int) else 0


def _continues(arguments: Sequence[str] | None, error: BaseException) -> bool:
    """Whether the interrupted command goes on from where it was if it is given again."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    is_begun = isinstance(error, ContinuedInterrupt) or isinstance(error.__cause__, ContinuedInterrupt)
    return is_begun or any(words[: len(command)] == command for command in _CONTINUING)


def _escape_what_is_lacking() -> None:
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper) and stream.errors == "strict":
            stream.reconfigure(errors="backslashreplace")


class _Printable(logging.Formatter):
    """Formats what is logged as it is printed elsewhere: names of users move no cursor."""

    def format(self, record: logging.LogRecord) -> str:
        return "\n".join(map(printable, super().format(record).split("\n")))


def _fail(message: str, exit_code: int = 2) -> int:
    print(f"nars: {one_line(message)}", file=sys.stderr)
    return exit_code
