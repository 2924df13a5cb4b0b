"""Command line options made from the fields of a configuration: its names, rules and docstrings."""

from __future__ import annotations

import types
from collections.abc import Callable, Collection, Mapping
from typing import Any, Literal, TypeVar, Union, get_args, get_origin

import click
import yaml
from pydantic.fields import FieldInfo

from nars.spec import Frozen

__all__ = ["asked", "options_of"]

F = TypeVar("F", bound=Callable[..., Any])


def options_of(cls: type[Frozen], skip: Collection[str] = ()) -> Callable[[F], F]:
    """A decorator that adds an option for every field of `cls` but those to `skip`.

    Lists are written ``8,16,32``, lists of lists ``8,16;32,64``. An option that isn't given is
    None, so that `asked` can tell. The rules stay with the class.
    """

    def decorate(function: F) -> F:
        for name, field in reversed(cls.model_fields.items()):
            if name not in skip:
                function = _option(name, field)(function)
        return function

    return decorate


def asked(cls: type[Frozen], given: Mapping[str, Any]) -> dict[str, Any]:
    """Of the values `given` to options, those that are of `cls` and were asked for."""
    return {name: given[name] for name in cls.model_fields if given.get(name) is not None}


def _option(name: str, field: FieldInfo) -> Callable[[F], F]:
    words = name.replace("_", "-")
    kind = _kind(field.annotation)
    text = " ".join((field.description or "").split())
    default = _shown(field.default)
    shown = f"{text}{' ' if text else ''}[{default}]" if default else text
    if kind is bool:
        return click.option(f"--{words}/--no-{words}", name, default=None, help=shown)
    if get_origin(kind) is Literal:
        return click.option(f"--{words}", name, type=click.Choice(get_args(kind)), help=shown)
    value: click.ParamType[Any] = _List(_depth(kind)) if _depth(kind) else _Number(kind)
    return click.option(f"--{words}", name, type=value, help=shown)


class _Number(click.ParamType[Any]):
    def __init__(self, kind: Any) -> None:
        self.kind = int if kind is int else float
        self.name = "integer" if kind is int else "number"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        try:
            return self.kind(value)
        except ValueError:
            self.fail(f"{value!r} is not a valid {self.name}.", param, ctx)


class _List(click.ParamType[Any]):
    """Numbers between commas; with `depth` 2 such lists between semicolons."""

    def __init__(self, depth: int) -> None:
        self.depth = depth
        self.name = "a,b" if depth == 1 else "a,b;c,d"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        if not isinstance(value, str):
            return value
        if self.depth == 2:
            return tuple(_List(1).convert(part, param, ctx) for part in value.split(";"))
        numbers = [yaml.safe_load(part) for part in value.split(",")]
        if not all(isinstance(number, int | float) for number in numbers):
            self.fail(f"{value!r} is not a list of numbers such as 8,16,32", param, ctx)
        return tuple(numbers)


def _kind(annotation: Any) -> Any:
    """The type without its rules and without None."""
    if get_origin(annotation) in (Union, types.UnionType):
        annotation = next(each for each in get_args(annotation) if each is not types.NoneType)
    return (
        getattr(annotation, "__origin__", annotation) if hasattr(annotation, "__metadata__") else annotation
    )


def _depth(kind: Any) -> int:
    """How deep lists are nested in a type."""
    if get_origin(kind) is not tuple:
        return 0
    return 1 + _depth(_kind(get_args(kind)[0]))


def _shown(default: Any) -> str:
    if isinstance(default, bool):
        return "on" if default else "off"
    if isinstance(default, tuple):
        separator = ";" if isinstance(default[0], tuple) else ","
        return separator.join(_shown(each) for each in default)
    return f"{default:g}" if isinstance(default, float) else "" if default is None else str(default)
