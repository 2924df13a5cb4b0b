"""Finds spaces, candidates and recipes by their names or files, and fixes parts of a space."""

from __future__ import annotations

from collections.abc import Sequence
from importlib import import_module
from typing import Any

from nars.documents import is_yaml, kind_of, read_text
from nars.errors import UsageError
from nars.space import Space
from nars.space.base import SearchSpace
from nars.spec import Architecture, Candidate, Recipe, read
from nars.tasks import spaces_of

__all__ = ["built_in_names", "candidate", "fixed", "published_names", "recipe", "space", "space_for"]


def space(name_or_file: str) -> Space:
    """A space by its name or the path of a YAML file. Raises `UsageError`, `SpecError`."""
    found: Space = _search_spaces().space(name_or_file)
    return found


def space_for(task: str, name_or_file: str) -> SearchSpace:
    """The space of a task by its name or file; a space of classifiers may be made into one of the task's.

    Raises `UsageError`, `SpecError`.
    """
    own = spaces_of(task)
    if own is None:
        return space(name_or_file)
    if is_yaml(name_or_file):
        is_of_classifiers = kind_of(read_text(name_or_file), name_or_file) == Space.kind
    else:
        is_of_classifiers = name_or_file in built_in_names()
    found: SearchSpace = space(name_or_file) if is_of_classifiers else own.space(name_or_file)
    return found


def candidate(name_or_file: str) -> Candidate:
    """A candidate by the path of a YAML file, or a published architecture by name.

    An architecture alone gets the default recipe. Raises `UsageError`, `SpecError`.
    """
    if not is_yaml(name_or_file):
        return Candidate(architecture=_search_spaces().published(name_or_file))
    document = read(name_or_file)
    if isinstance(document, Candidate):
        return document
    if isinstance(document, Architecture):
        return Candidate(architecture=document)
    raise UsageError(f"{name_or_file} is a recipe: it has no architecture")


def published_names() -> list[str]:
    """The published architectures that `candidate` knows by name."""
    names: list[str] = import_module("search_spaces.catalogue").names()
    return names


def built_in_names() -> list[str]:
    """The spaces of classifiers that `space` knows by name."""
    names: list[str] = import_module("search_spaces.spaces").space_names()
    return names


def recipe(file: str) -> Recipe:
    """The recipe in a YAML file of a recipe or a candidate. Raises `UsageError`, `SpecError`."""
    document = read(file)
    if isinstance(document, Architecture):
        raise UsageError(f"{file} is an architecture: it has no recipe")
    return document.recipe if isinstance(document, Candidate) else document


def fixed(space: SearchSpace, parts: Sequence[str]) -> SearchSpace:
    """The space with `parts` fixed, each ``recipe=FILE`` or ``arch=FILE``.

    Raises `UsageError` if nothing is left to search, and `SpecError`.
    """
    for part in parts:
        space = _with_fixed(space, part)
    if not space.distributions:
        raise UsageError("nothing is left to search: both architecture and recipe are fixed")
    return space


def _with_fixed(space: SearchSpace, part: str) -> SearchSpace:
    what, equals, file = part.partition("=")
    if not equals or not file or what not in ("recipe", "arch"):
        raise UsageError(f"--fix {part!r}: give recipe=FILE or arch=FILE")
    if not isinstance(space, Space):
        return space.held("recipe" if what == "recipe" else "arch", file)
    if what == "recipe":
        return space.fix(recipe=recipe(file))
    return space.fix(architecture=candidate(file).architecture)


def _search_spaces() -> Any:
    """The package `search_spaces`, imported late because it is built on nars."""
    return import_module("search_spaces")
