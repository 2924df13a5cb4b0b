"""The options that make a `SearchRequest`, shared by ``nars search`` and ``nars proxy-check``."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from typing import Any, TypeVar

import click

from nars.cli.options.fields import given, options_of
from nars.cli.options.values import AMOUNT, DURATION, Names
from nars.runs.request import SearchRequest

__all__ = ["request_options", "requested", "say", "say_default_data"]

F = TypeVar("F", bound=Callable[..., Any])

_PARSERS: Mapping[str, click.ParamType[Any]] = {
    "max_macs": AMOUNT,
    "max_params": AMOUNT,
    "max_latency": DURATION,
    "objectives": Names(),
}
"""Fields of a request that are not written as they are stored."""


def request_options(only: Collection[str] | None = None) -> Callable[[F], F]:
    """A decorator that adds an option for each field of `SearchRequest`, or for those in `only`."""
    skip = SearchRequest.model_fields.keys() - set(SearchRequest.model_fields if only is None else only)
    return options_of(SearchRequest, skip=skip, parsers=_PARSERS, flags={"objectives": "--objective"})


def requested(options: Mapping[str, Any]) -> SearchRequest:
    """The request that the options of a command make. Raises `UsageError`, `SpecError`."""
    return SearchRequest(**given(SearchRequest, options))


def say(*lines: str) -> None:
    """Print lines on stderr."""
    for line in lines:
        click.echo(line, err=True)


def say_default_data(options: Mapping[str, Any], request: SearchRequest) -> None:
    """Say on stderr which data are used if none were given."""
    if options["data"] is None:
        say(f"no --data given: using {request.data}, which comes with nars")
