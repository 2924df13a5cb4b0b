"""The option ``--format`` of commands that write a file, and the format that the file's name ends in."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar

import click

__all__ = ["ENDINGS", "NETWORK_FORMATS", "format_of", "format_option"]

F = TypeVar("F", bound=Callable[..., Any])

ENDINGS = {
    "onnx": (".onnx",),
    "pt2": (".pt2",),
    "torchscript": (".torchscript", ".ts"),  # .pt is what weights of nars end in
    "yaml": (".yaml", ".yml"),
    "csv": (".csv",),
    "html": (".html", ".htm"),
}
"""Endings of files by their format."""

NETWORK_FORMATS = ("onnx", "pt2", "torchscript")
"""Formats of networks; a name without an ending is that of the first."""


def format_option(formats: Sequence[str], meaning: str) -> Callable[[F], F]:
    """The option ``--format``, for `format_of`."""
    default = f"By default what -o ends in, {formats[0]} without an ending."
    return click.option("--format", "form", type=click.Choice(formats), help=f"{meaning}. {default}")


def format_of(output: Path | None, given: str | None, formats: Sequence[str]) -> str:
    """The format that ``--format`` gives or `output` ends in; the first of `formats` if neither says it.

    Raises `click.UsageError` for an ending of no such format, and for that of another than the one given.
    """
    suffix = "" if output is None else output.suffix.lower()
    if not re.fullmatch(r"\.[a-z]\w*", suffix):
        return given or formats[0]
    endings = {ending: form for form in formats for ending in ENDINGS[form]}
    if suffix not in endings:
        raise click.UsageError(f"-o {output}: a file ends in {' or '.join(endings)}")
    if given not in (None, endings[suffix]):
        valid = " or ".join(ENDINGS[given])
        raise click.UsageError(f"-o {output}: a file of --format {given} ends in {valid}")
    return endings[suffix]
