"""Command line options made from the fields of a configuration: its names, rules and docstrings."""

from __future__ import annotations

import re
import types
from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar, Union, get_args, get_origin

import click
import yaml
from pydantic import TypeAdapter, ValidationError
from pydantic.fields import FieldInfo

from nars.cli.options.values import Choice
from nars.documents import Frozen

__all__ = ["given", "options_of"]

F = TypeVar("F", bound=Callable[..., Any])

_PLAIN: Mapping[Any, click.ParamType[Any]] = {
    int: click.INT,
    float: click.FLOAT,
    str: click.STRING,
    Path: click.Path(path_type=Path),
}
"""Parsers of single values, by the type of the field."""


def options_of(
    cls: type[Frozen],
    *,
    skip: Collection[str] = (),
    parsers: Mapping[str, click.ParamType[Any]] | None = None,
    flags: Mapping[str, str] | None = None,
    defaults: bool = True,
) -> Callable[[F], F]:
    """A decorator that adds an option for every field of `cls` but those to `skip`.

    A list of numbers is written ``8,16,32``, a list of lists ``8,16;32,64``; an option for several names or
    paths is repeated. `parsers` replaces how a field's text is read, `flags` how its option is spelled;
    `defaults` says whether the help shows the fields' own defaults. An option that is not given is None or
    empty, so that `given` can tell. Every value is held to the rules of its field, so a mistake is reported
    with the option's name.
    """

    def decorate(function: F) -> F:
        for name in reversed(cls.model_fields):
            if name not in skip:
                flag = (flags or {}).get(name, _flag(name))
                text = _help(cls, cls.model_fields[name], defaults)
                option = _option(cls, name, flag, text, (parsers or {}).get(name))
                function = option(function)
        return function

    return decorate


def given(cls: type[Frozen], options: Mapping[str, Any]) -> dict[str, Any]:
    """The fields of `cls` among the values of `options` that were given on the command line."""
    return {name: options[name] for name in cls.model_fields if options.get(name) not in (None, ())}


def _option(
    cls: type[Frozen], name: str, flag: str, text: str, parser: click.ParamType[Any] | None
) -> Callable[[F], F]:
    field = cls.model_fields[name]
    kind = _kind(field.annotation)
    if parser is not None:
        return click.option(flag, name, type=_Checked(parser, field), help=text)
    if kind is bool:
        return click.option(f"{flag}/--no-{flag[2:]}", name, default=None, help=text)
    if get_origin(kind) is Literal:
        return click.option(flag, name, type=Choice(name, get_args(kind)), help=text)
    if get_origin(kind) is tuple and _kind(get_args(kind)[0]) in (str, Path):
        return click.option(flag, name, type=_PLAIN[_kind(get_args(kind)[0])], multiple=True, help=text)
    parser = _Numbers(_depth(kind)) if _depth(kind) else _PLAIN[kind]
    return click.option(flag, name, type=_Checked(parser, field), help=text)


class _Checked(click.ParamType[Any]):
    """A value that is read by `parser` and then has to keep the rules of `field`."""

    def __init__(self, parser: click.ParamType[Any], field: FieldInfo) -> None:
        self.parser = parser
        self.field = field
        self.name = parser.name

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        value = self.parser.convert(value, param, ctx)
        rules: Any = Annotated[self.field.annotation, self.field]
        try:
            TypeAdapter(rules).validate_python(value)
        except ValidationError as error:
            self.fail(f"{error.errors()[0]['msg']}, got {value!r}", param, ctx)
        return value


class _Numbers(click.ParamType[Any]):
    """Numbers between commas; with `depth` 2 such lists between semicolons."""

    def __init__(self, depth: int) -> None:
        self.depth = depth
        self.name = "a,b" if depth == 1 else "a,b;c,d"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        if not isinstance(value, str):
            return value
        if self.depth == 2:
            return tuple(_Numbers(1).convert(part, param, ctx) for part in value.split(";"))
        try:
            numbers = tuple(yaml.safe_load(part) for part in value.split(","))
        except yaml.YAMLError:
            numbers = ()
        if not numbers or not all(type(number) in (int, float) for number in numbers):
            self.fail(f"{value!r} is not a list of numbers such as 8,16,32", param, ctx)
        return numbers


def _kind(annotation: Any) -> Any:
    """The type without its rules and without None."""
    if get_origin(annotation) in (Union, types.UnionType):
        annotation = next(kind for kind in get_args(annotation) if kind is not types.NoneType)
    return get_args(annotation)[0] if get_origin(annotation) is Annotated else annotation


def _depth(kind: Any) -> int:
    """How deep lists are nested in a type."""
    if get_origin(kind) is not tuple:
        return 0
    return 1 + _depth(_kind(get_args(kind)[0]))


def _help(cls: type[Frozen], field: FieldInfo, with_default: bool) -> str:
    """The docstring of a field, which names fields as options, and its default if it is to be shown."""
    text = " ".join((field.description or "").split()).replace("``", "")
    text = re.sub(r"`(\w+)`", lambda word: _flag(word[1]) if word[1] in cls.model_fields else word[1], text)
    default = _shown(field.default) if with_default else ""
    return f"{text}  [default: {default}]".strip() if default else text


def _flag(name: str) -> str:
    return f"--{name.replace('_', '-')}"


def _shown(default: Any) -> str:
    if isinstance(default, bool):
        return "on" if default else "off"
    if isinstance(default, tuple):
        separator = ";" if default and isinstance(default[0], tuple) else ","
        return separator.join(map(_shown, default))
    return f"{default:g}" if isinstance(default, float) else "" if default is None else str(default)
