"""From what a user asks for to a `SearchConfig`: names resolved, data opened, space restricted."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np

from nars import tasks
from nars.errors import UsageError, closest
from nars.predictors.knowledge import EarlierSearch
from nars.searching.config import STATISTICS, SearchConfig, space_difference
from nars.searching.earlier import learned
from nars.searching.pruners import PRUNERS
from nars.searching.run import open_run
from nars.searching.wrappers import check_sampler
from nars.space import Space, feasible
from nars.space.feasible import FeasiblePart
from nars.spec import Architecture, Candidate, Recipe, read

__all__ = ["candidate", "configure", "published_names", "recipe", "what_is_left"]


def configure(
    *,
    space: str,
    task: str = "classification",
    data: str = "digits",
    fix: Sequence[str] = (),
    objectives: str | None = None,
    limits: Mapping[str, float] | None = None,
    warm_start: Sequence[Path] = (),
    options: Mapping[str, Any] | None = None,
) -> SearchConfig:
    """A search over the space of this name or file, for a task on its data.

    `fix` holds ``recipe=FILE`` or ``arch=FILE`` (or a published name); `objectives` are separated by
    commas; `warm_start` are run folders of searches over the same dimensions; `options` are further
    fields of `SearchConfig`. Raises `UsageError`, `SpecError`, `DataError`, `RunError`.
    """
    options = dict(options or {})
    _check_name("pruner", options.get("pruner", "none"), PRUNERS)
    found: Space = _catalogue().space(space)
    for part in fix:
        found = _hold(found, part)
    if not found.distributions:
        raise UsageError("nothing is left to search: both architecture and recipe are fixed")
    opened = tasks.load(task, data, options.get("device", "auto"), drop_bad=options.get("drop_bad", False))
    names = tuple(name.strip() for name in (objectives or opened.metric).split(","))
    if names[0] != opened.metric:
        raise UsageError(f"the first objective of {task} is {opened.metric}, got {names[0]!r}")
    for name in names[1:]:
        _check_name("objective", name, STATISTICS)
    check_sampler(options.get("sampler", "nars"), names)
    return SearchConfig(
        space=found.replace(num_classes=opened.num_classes),
        task=task,
        data=data,
        data_fingerprint=opened.fingerprint,
        objectives=names,
        limits=dict(limits or {}),
        warm_start=tuple(_earlier(folder, found) for folder in warm_start),
        **options,
    )


def _earlier(folder: Path, space: Space) -> EarlierSearch:
    run = open_run(folder)
    if run.config.space.distributions != space.distributions:
        difference = space_difference(
            run.config.space, space.replace(num_classes=run.config.space.num_classes)
        )
        raise UsageError(f"no warm start from {folder}: {difference}")
    return learned(run.study(), run.name, list(space.distributions))


def what_is_left(config: SearchConfig) -> FeasiblePart:
    """What the limits leave of the space; latency is left out, for it has to be measured first.

    Raises `InfeasibleError` with the smallest possible.
    """
    limits = {name: limit for name, limit in config.limits.items() if name != "latency"}
    return feasible.feasible_part(config.space, limits, np.random.default_rng(0))


def candidate(name_or_file: str) -> Candidate:
    """A candidate by the path of a YAML file, or a published architecture by name.

    An architecture alone gets the default recipe. Raises `UsageError`, `SpecError`.
    """
    if not name_or_file.endswith((".yaml", ".yml")):
        return Candidate(architecture=_catalogue().published(name_or_file))
    found = read(name_or_file)
    if isinstance(found, Candidate):
        return found
    if isinstance(found, Architecture):
        return Candidate(architecture=found)
    raise UsageError(f"{name_or_file} is a recipe: it has no architecture")


def published_names() -> list[str]:
    """The published architectures that `candidate` knows by name."""
    names: list[str] = import_module("search_spaces.catalogue").names()
    return names


def recipe(file: str) -> Recipe:
    """The recipe in a YAML file of a recipe or a candidate. Raises `UsageError`, `SpecError`."""
    found = read(file)
    if isinstance(found, Architecture):
        raise UsageError(f"{file} is an architecture: it has no recipe")
    return found.recipe if isinstance(found, Candidate) else found


def _hold(space: Space, part: str) -> Space:
    what, equals, file = part.partition("=")
    if not equals or what not in ("recipe", "arch"):
        raise UsageError(f"--fix {part!r}: give recipe=FILE or arch=FILE")
    if what == "recipe":
        return space.fix(recipe=recipe(file))
    return space.fix(architecture=candidate(file).architecture)


def _check_name(what: str, name: str, valid: Sequence[str]) -> None:
    if name not in valid:
        raise UsageError(f"no {what} {name!r}: {closest(name, valid)}")


def _catalogue() -> Any:
    """`search_spaces`, which stands on top of nars and so is found only when asked for."""
    return import_module("search_spaces")
